package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clocked is a login whose clock the test turns.
func clocked(t *testing.T, file string) (*login, *time.Time) {
	t.Helper()
	now := time.Unix(0, t0)
	l, err := openLogin(file, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return l, &now
}

func TestPasswordsAreKeptSlowAndSalted(t *testing.T) {
	var kept []savedPassword
	for i := range 2 {
		file := filepath.Join(t.TempDir(), "login")
		l, _ := clocked(t, file)
		if err := l.choose(l.token(), "correct horse"); err != nil {
			t.Fatal(i, err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s savedPassword
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, s)
		if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if kept[0].Rounds < 600_000 || len(kept[0].Salt) < 16 || len(kept[0].Hash) < 32 {
		t.Errorf("%+v", kept[0])
	}
	if string(kept[0].Salt) == string(kept[1].Salt) || string(kept[0].Hash) == string(kept[1].Hash) {
		t.Error("the same password is kept as the same bytes")
	}
}

func TestTokenIsLongNewAndGoodOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "login")
	first, _ := clocked(t, file)
	l, _ := clocked(t, file) // started again before a password was chosen
	if len(first.token()) < 26 || first.token() == l.token() {
		t.Fatalf("tokens %q, %q", first.token(), l.token())
	}
	for _, token := range []string{first.token(), "", l.token()[:25], l.token() + "A", strings.ToLower(l.token())} {
		if err := l.choose(token, "correct horse"); err == nil {
			t.Fatalf("token %q was taken", token)
		}
		l.failures = 0
	}
	if err := l.choose(l.token(), strings.Repeat("x", passwordMax+1)); !errors.Is(err, errLong) {
		t.Error(err)
	}
	if err := l.choose(l.token(), "123456789"); !errors.Is(err, errShort) {
		t.Error(err)
	}
	token := l.token()
	if err := l.choose(token, "correct horse"); err != nil {
		t.Fatal(err)
	}
	if l.token() != "" {
		t.Error("the token lives on")
	}
	for _, again := range []string{token, ""} {
		if err := l.choose(again, "another password"); !errors.Is(err, errChosen) {
			t.Error(err)
		}
	}
	l, _ = clocked(t, file)
	if l.token() != "" {
		t.Error("a token is made although a password was chosen")
	}
	if err := l.check("correct horse"); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "correct horsf", "correct horse ", strings.Repeat("x", passwordMax+1)} {
		l.failures = 0
		if err := l.check(wrong); !errors.Is(err, errPassword) {
			t.Errorf("%.20q: %v", wrong, err)
		}
	}
}

func TestGuessingTheTokenCostsTime(t *testing.T) {
	l, now := clocked(t, filepath.Join(t.TempDir(), "login"))
	var wait waitError
	looked := 0
	for end := now.Add(time.Hour); now.Before(end); *now = now.Add(time.Second) {
		if err := l.choose("guess", "correct horse"); !errors.As(err, &wait) {
			looked++
		}
	}
	if looked > 70 {
		t.Errorf("%d guesses in an hour", looked)
	}
	*now = now.Add(failureMost)
	if err := l.choose(l.token(), "correct horse"); err != nil {
		t.Error(err)
	}
}

// Many tries at once are not more tries.
func TestGuessingAtOnceCostsTime(t *testing.T) {
	l, _ := clocked(t, filepath.Join(t.TempDir(), "login"))
	if err := l.choose(l.token(), "correct horse"); err != nil {
		t.Fatal(err)
	}
	var looked atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if errors.Is(l.check(fmt.Sprint("guess number ", i)), errPassword) {
				looked.Add(1)
			}
		})
	}
	all.Wait()
	if n := looked.Load(); n != failuresFree {
		t.Errorf("%d guesses were looked at", n)
	}
}

func TestCookiesAndSessions(t *testing.T) {
	l, now := clocked(t, filepath.Join(t.TempDir(), "login"))
	enter := func() *http.Request {
		w := httptest.NewRecorder()
		l.begin(w)
		c := w.Result().Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || len(c.Value) < 26 {
			t.Fatalf("cookie %+v", c)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(c)
		return r
	}
	one, two := enter(), enter()
	if !l.in(one) || !l.in(two) {
		t.Fatal("a new session does not hold")
	}
	for id := range l.sessions {
		if c, _ := one.Cookie(cookieName); strings.Contains(c.Value, string(id[:])) {
			t.Error("what is kept is the cookie itself")
		}
	}
	w := httptest.NewRecorder()
	l.end(w, one)
	if c := w.Result().Cookies()[0]; c.MaxAge >= 0 || !c.HttpOnly {
		t.Errorf("logging out leaves %+v", c)
	}
	if l.in(one) || !l.in(two) {
		t.Error("logging out ends another session than its own")
	}
	*now = now.Add(sessionIdle - time.Minute)
	if !l.in(two) {
		t.Error("a session ends early")
	}
	*now = now.Add(sessionIdle - time.Minute)
	if !l.in(two) {
		t.Error("a session that is used ends")
	}
	*now = now.Add(sessionIdle + time.Minute)
	if l.in(two) {
		t.Error("a session outlives its idle time")
	}
	for range 3 * sessionsMax {
		enter()
	}
	if len(l.sessions) > sessionsMax {
		t.Errorf("%d sessions", len(l.sessions))
	}
	bad := httptest.NewRequest("GET", "/", nil)
	for _, v := range []string{"", "x", strings.Repeat("A", 26)} {
		bad.Header.Set("Cookie", cookieName+"="+v)
		if l.in(bad) {
			t.Errorf("cookie %q lets in", v)
		}
	}
}

func TestBrokenLoginIsRefused(t *testing.T) {
	for _, text := range []string{"", "{}", "null", "rubbish", `{"rounds":600000,"salt":"","hash":""}`, `{"rounds":0,"salt":"AAAA","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`, `{"rounds":1000,"salt":"AAAAAAAAAAAAAAAAAAAAAA==","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`} {
		file := filepath.Join(t.TempDir(), "login")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openLogin(file, time.Now); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
