package console

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// Numbers of the login. The rounds are OWASP's for PBKDF2-HMAC-SHA256 (Password Storage Cheat Sheet).
const (
	passwordRounds = 600_000
	passwordMin    = 10
	passwordMax    = 1024
	sessionIdle    = 12 * time.Hour
	sessionsMax    = 64
	failuresFree   = 3                // wrong passwords before each costs time
	failureDelay   = 2 * time.Second  // doubling
	failureMost    = 60 * time.Second // per wrong password
	cookieName     = "dejpha_session"
)

// login is one operator's password and the browsers that gave it.
type login struct {
	file     string
	now      func() time.Time
	mu       sync.Mutex
	saved    *savedPassword // nil: not chosen yet
	setup    string         // the one-time token while it is not
	sessions map[[32]byte]time.Time
	failures int
	closed   time.Time // no password is looked at before
}

type savedPassword struct {
	Rounds int    `json:"rounds"`
	Salt   []byte `json:"salt"`
	Hash   []byte `json:"hash"`
}

func openLogin(file string, now func() time.Time) (*login, error) {
	l := &login{file: file, now: now, sessions: map[[32]byte]time.Time{}}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		l.setup = rand.Text()
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the console's login: %w", err)
	}
	l.saved = &savedPassword{}
	if err := json.Unmarshal(b, l.saved); err != nil || len(l.saved.Hash) != 32 || len(l.saved.Salt) < 16 || l.saved.Rounds < passwordRounds {
		return nil, fmt.Errorf("%s is not a console login; remove it to choose a new password", file)
	}
	return l, nil
}

func (l *login) token() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.setup
}

// waitError says how long no password is looked at.
type waitError struct{ wait time.Duration }

// Error names the wait.
func (e waitError) Error() string {
	return fmt.Sprintf("too many wrong passwords; try again in %d seconds", int(e.wait.Seconds()+1))
}

var (
	errToken    = errors.New("the setup token is wrong; take the newest address printed at the start")
	errPassword = errors.New("wrong password")
	errShort    = fmt.Errorf("the password needs at least %d characters", passwordMin)
	errLong     = fmt.Errorf("the password may have at most %d bytes", passwordMax)
	errChosen   = errors.New("a password was chosen already; log in with it")
)

// choose takes the first password for the one-time token.
func (l *login) choose(token, password string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.saved != nil {
		return errChosen
	}
	if err := l.wait(); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(l.setup)) != 1 {
		l.fail()
		return errToken
	}
	switch {
	case len(password) < passwordMin:
		return errShort
	case len(password) > passwordMax:
		return errLong
	}
	s := &savedPassword{Rounds: passwordRounds, Salt: make([]byte, 16)}
	_, _ = rand.Read(s.Salt) // never fails
	var err error
	if s.Hash, err = s.derive(password); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := writePrivate(l.file, b); err != nil {
		return fmt.Errorf("the password cannot be kept: %w", err)
	}
	l.saved, l.setup, l.failures = s, "", 0
	return nil
}

func (s *savedPassword) derive(password string) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, s.Salt, s.Rounds, 32)
}

// writePrivate replaces a file that only its owner may read.
func writePrivate(file string, b []byte) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// check compares a password; wrong ones cost more and more time, for everyone.
func (l *login) check(password string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.wait(); err != nil {
		return err
	}
	if l.saved == nil || len(password) > passwordMax {
		return errPassword
	}
	h, err := l.saved.derive(password)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(h, l.saved.Hash) != 1 {
		l.fail()
		return errPassword
	}
	l.failures = 0
	return nil
}

func (l *login) wait() error {
	if d := l.closed.Sub(l.now()); d > 0 {
		return waitError{d}
	}
	return nil
}

func (l *login) fail() {
	l.failures++
	if n := l.failures - failuresFree; n >= 0 {
		l.closed = l.now().Add(min(failureDelay<<min(n, 10), failureMost))
	}
}

// begin makes a session and sets its cookie.
func (l *login) begin(w http.ResponseWriter) {
	text := rand.Text()
	l.mu.Lock()
	now := l.now()
	for id, used := range l.sessions {
		if now.Sub(used) > sessionIdle || len(l.sessions) >= sessionsMax {
			delete(l.sessions, id)
		}
	}
	l.sessions[sha256.Sum256([]byte(text))] = now
	l.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: text, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// in says whether a request bears a session, which it keeps alive.
func (l *login) in(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	id := sha256.Sum256([]byte(c.Value))
	l.mu.Lock()
	defer l.mu.Unlock()
	used, ok := l.sessions[id]
	now := l.now()
	if !ok || now.Sub(used) > sessionIdle {
		delete(l.sessions, id)
		return false
	}
	l.sessions[id] = now
	return true
}

// end forgets a request's session.
func (l *login) end(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		l.mu.Lock()
		delete(l.sessions, sha256.Sum256([]byte(c.Value)))
		l.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// state is setup, login or in.
func (l *login) state(r *http.Request) string {
	if l.in(r) {
		return "in"
	}
	if l.token() != "" {
		return "setup"
	}
	return "login"
}
