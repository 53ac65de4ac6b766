package console

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/dejpha/dejpha/console/web"
)

const bodyMax = 8 << 10

// policy lets the page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// handler is the whole site: API behind the login, page in front of it.
func (c *Console) handler() (http.Handler, error) {
	page, err := web.Files()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, r := range c.routes() {
		if r.private {
			r.handle = c.private(r.handle)
		}
		mux.HandleFunc(r.pattern, r.handle)
	}
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "no such address") })
	mux.Handle("/", pages(page))
	return c.guard(mux), nil
}

// route is one address of the API.
type route struct {
	pattern string
	private bool // behind the login
	handle  http.HandlerFunc
}

// routes are all addresses of the API; docs/openapi.yaml describes each.
func (c *Console) routes() []route {
	return []route{
		{"GET /api/session", false, c.session}, {"POST /api/setup", false, c.setup}, {"POST /api/login", false, c.logIn}, {"POST /api/logout", false, c.logOut},
		{"GET /api/status", true, c.status}, {"GET /api/classes", true, c.classes}, {"GET /api/summary", true, c.summary}, {"GET /api/timeline", true, c.timeline},
		{"GET /api/attacks", true, c.attacks}, {"GET /api/attacks/{id}", true, c.attack}, {"GET /api/attacks/{id}/packets", true, c.packetList},
		{"GET /api/attacks/{id}/packets.pcap", true, c.packetFile}, {"GET /api/attacks/{id}/proof", true, c.proof}, {"GET /api/origins", true, c.origins},
		{"GET /api/ledger", true, c.ledger}, {"GET /api/events", true, c.stream},
		{"GET /api/blocks", true, c.blocks}, {"POST /api/blocks/undo", true, c.undoBlock},
		{"GET /api/interfaces", true, c.interfaces}, {"GET /api/rules", true, c.rules}, {"POST /api/rules/reload", true, c.reload},
		{"GET /api/reports", true, c.reportList}, {"GET /api/reports/{month}/report.html", true, c.reportPage}, {"GET /api/reports/{month}/report.json", true, c.reportJSON},
	}
}

func (c *Console) session(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]string{"state": c.login.state(r)})
}

func (c *Console) logOut(w http.ResponseWriter, r *http.Request) {
	c.login.end(w, r)
	answer(w, map[string]string{"state": "login"})
}

// guard refuses other hosts' names (DNS rebinding) and other sites' requests, and sets what every answer bears.
func (c *Console) guard(next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(c.address)
	hosts := map[string]bool{c.address: true, "localhost:" + port: true, "127.0.0.1:" + port: true, "[::1]:" + port: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !hosts[strings.ToLower(r.Host)] {
			fail(w, http.StatusForbidden, "this name is not the console's")
			return
		}
		if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host || r.Method == http.MethodPost && o == "" {
			fail(w, http.StatusForbidden, "requests from other sites are refused")
			return
		}
		if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			fail(w, http.StatusUnsupportedMediaType, "want application/json")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyMax)
		next.ServeHTTP(w, r)
	})
}

// private lets only browsers in that are logged in.
func (c *Console) private(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !c.login.in(r) {
			fail(w, http.StatusUnauthorized, "log in first")
			return
		}
		h(w, r)
	}
}

// pages serves the page's files; any other address without a dot is the page itself, which reads the address.
func pages(files fs.FS) http.Handler {
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			fail(w, http.StatusMethodNotAllowed, "the page is only read")
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if strings.HasPrefix(name, "assets/") {
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable") // their names hold their hashes
		}
		if info, err := fs.Stat(files, name); err == nil && !info.IsDir() && name != "index.html" && !strings.HasPrefix(name, ".") {
			static.ServeHTTP(w, r)
			return
		}
		b, err := fs.ReadFile(files, "index.html")
		switch {
		case strings.Contains(path.Base("/"+name), "."):
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, "The page was not built into this program; `make build` does it. The API answers under /api/.", http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(b)
		}
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

func readBody(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		fail(w, http.StatusBadRequest, "the request is not the JSON that is expected here")
		return false
	}
	return true
}

func (c *Console) setup(w http.ResponseWriter, r *http.Request) {
	var in struct{ Token, Password string }
	if !readBody(w, r, &in) {
		return
	}
	if c.loginFailed(w, c.login.choose(in.Token, in.Password)) {
		return
	}
	c.login.begin(w)
	answer(w, map[string]string{"state": "in"})
}

func (c *Console) logIn(w http.ResponseWriter, r *http.Request) {
	var in struct{ Password string }
	if !readBody(w, r, &in) {
		return
	}
	if c.loginFailed(w, c.login.check(in.Password)) {
		return
	}
	c.login.begin(w)
	answer(w, map[string]string{"state": "in"})
}

func (c *Console) loginFailed(w http.ResponseWriter, err error) bool {
	var wait waitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &wait):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": err.Error(), "retry_s": int(wait.wait.Seconds()) + 1})
	case errors.Is(err, errShort) || errors.Is(err, errLong):
		fail(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, errToken) || errors.Is(err, errPassword) || errors.Is(err, errChosen):
		fail(w, http.StatusForbidden, err.Error())
	default:
		fail(w, http.StatusInternalServerError, err.Error())
	}
	return true
}
