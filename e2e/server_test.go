package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The honest user and the password that nobody's list holds, as SHA-512 crypt.
const (
	honest       = "honest"
	password     = "honest-horse"
	passwordHash = "$6$dejpha$XhQlDSU.QCU9R3UA5rmlBXCS/z7x8U0cPhooECb65GA4vLhH/eXhcPDRw83LNlk7cYD9PGNo0o6RRpRNQbxGX."
)

// service is a real server: which program, which Debian package, how it is set up and where it listens.
type service struct {
	program, debian string
	files           map[string]string // configuration, by name; {dir} is the story's folder
	prepare         func(*story) error
	run             []string
	ports           []int
}

var services = map[string]service{
	"web": {"nginx", "nginx-light", map[string]string{
		"nginx.conf": `daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.err; user root; worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off; default_type text/html;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server { listen 10.20.0.80:80; listen [fd20::80]:80; listen 10.20.0.80:443 ssl; root {dir}/www;
    ssl_certificate {dir}/web.crt; ssl_certificate_key {dir}/web.key;
    location = /item { return 200 "<html><body>item<form action=/item><input name=id></form><a href=/item?id=1>one</a></body></html>"; }
    location = /login { return 401 "no\n"; }
    location = /upload { proxy_pass http://10.20.0.80/item; }
  }
}
`,
		"www/index.html": "<html><body>hello <a href=/item?id=1>item</a></body></html>\n",
	}, certify, []string{"nginx", "-p", "{dir}", "-c", "{dir}/nginx.conf"}, []int{80}},

	"ssh": {"/usr/sbin/sshd", "openssh-server", map[string]string{
		"sshd.conf": `HostKey {dir}/hostkey
PidFile {dir}/sshd.pid
UsePAM no
PasswordAuthentication yes
PermitRootLogin yes
UseDNS no
MaxStartups 200
`,
	}, func(s *story) error {
		return s.run("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, "hostkey"))
	}, []string{"/usr/sbin/sshd", "-D", "-f", "{dir}/sshd.conf", "-E", "{dir}/sshd.log"}, []int{22}},

	"ftp": {"vsftpd", "vsftpd", map[string]string{
		"vsftpd.conf": `listen=YES
background=NO
local_enable=YES
anonymous_enable=NO
write_enable=NO
pam_service_name=vsftpd
secure_chroot_dir=/run/vsftpd/empty
delay_failed_login=0
max_login_fails=3
seccomp_sandbox=NO
`,
	}, func(*story) error { return os.WriteFile("/run/home/welcome", []byte("welcome\n"), 0o644) }, []string{"vsftpd", "{dir}/vsftpd.conf"}, []int{21}},

	"files": {"smbd", "samba", map[string]string{
		"smb.conf": `[global]
interfaces = 10.20.0.139
bind interfaces only = yes
private dir = {dir}/samba
lock directory = {dir}/samba
state directory = {dir}/samba
cache directory = {dir}/samba
pid directory = {dir}/samba
ncalrpc dir = {dir}/samba/rpc
log file = {dir}/smbd.log
load printers = no
disable spoolss = yes
map to guest = never
smb ports = 445
server min protocol = NT1
ntlm auth = ntlmv1-permitted
[plans]
path = {dir}/plans
`,
		"plans/plan.txt": "a plan\n", "samba/rpc/.keep": "",
	}, func(s *story) error {
		return s.run("", "sh", "-c", fmt.Sprintf("printf '%s\\n%s\\n' | smbpasswd -c %s/smb.conf -a -s %s", password, password, s.dir, honest))
	}, []string{"smbd", "--foreground", "--no-process-group", "--configfile={dir}/smb.conf"}, []int{445}},

	"dns": {"unbound", "unbound", map[string]string{
		"unbound.conf": `server:
  interface: 10.20.0.53
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  local-zone: "example.org." static
  local-data: "www.example.org. IN A 10.20.0.80"
remote-control:
  control-enable: no
`,
	}, nil, []string{"unbound", "-d", "-c", "{dir}/unbound.conf"}, []int{53}},

	"mail": {"dovecot", "dovecot-imapd dovecot-pop3d postfix", map[string]string{
		"dovecot.conf": `base_dir = {dir}/dovecot
state_dir = {dir}/dovecot
log_path = {dir}/dovecot.log
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_cache_size = 0
mail_location = maildir:{dir}/maildir/%u
mail_max_userip_connections = 100
first_valid_uid = 7001
passdb {
  driver = passwd-file
  args = {dir}/mail.users
}
userdb {
  driver = static
  args = uid=7001 gid=7001 home=/run/home
}
service auth {
  unix_listener {dir}/postfix/spool/private/auth {
    mode = 0666
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
		"mail.users": honest + ":{PLAIN}" + password + "\n",
		"postfix/main.cf": `compatibility_level = 3.6
queue_directory = {dir}/postfix/spool
data_directory = {dir}/postfix/data
config_directory = {dir}/postfix
myhostname = mail.example.org
mydestination = example.org
inet_interfaces = all
inet_protocols = ipv4
local_recipient_maps =
local_transport = discard:
default_transport = discard:
alias_maps =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_recipient_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
maillog_file = {dir}/postfix.log
maillog_file_prefixes = /tmp, {dir}
`,
		"postfix/spool/private/.keep": "", "postfix/data/.keep": "", "maildir/.keep": "",
	}, prepareMail, []string{"dovecot", "-F", "-c", "{dir}/dovecot.conf"}, []int{143, 110}},
}

// certify makes the web server's key and the certificate that it gives itself.
func certify(s *story) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(s.dir, "web.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(filepath.Join(s.dir, "web.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// prepareMail starts postfix beside dovecot, which tells it who may send.
func prepareMail(s *story) error {
	master, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "postfix/master.cf"), master, 0o644); err != nil {
		return err
	}
	steps := fmt.Sprintf("cd %s && touch postfix/dynamicmaps.cf && cp /etc/postfix/postfix-files postfix/ && chown -R 7001:7001 maildir && chown postfix postfix/data postfix/spool/private && postfix -c %s/postfix check 2>/dev/null", s.dir, s.dir)
	if err := s.run("servers", "sh", "-c", steps); err != nil {
		return err
	}
	s.postfix, err = s.start("servers", "postfix.out", "/usr/lib/postfix/sbin/master", "-c", filepath.Join(s.dir, "postfix"), "-d")
	return err
}

// cmdServer: server NAME...
func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) == 0 || s.mode == "" {
		ts.Fatalf("usage, after network: server %s...", strings.Join(serverNames, "|"))
	}
	for _, name := range args {
		x, known := services[name]
		if !known {
			ts.Fatalf("no server %q; there are %s", name, strings.Join(serverNames, ", "))
		}
		for _, p := range append([]string{x.program}, map[string][]string{"mail": {"postfix"}}[name]...) {
			if _, err := exec.LookPath(p); err != nil {
				s.t.Skip(fmt.Sprintf("needs %s (Debian package %s)", filepath.Base(p), x.debian))
			}
		}
		ts.Check(s.serve(name, x))
	}
}

func (s *story) serve(name string, x service) error {
	here := strings.NewReplacer("{dir}", s.dir)
	for file, text := range x.files {
		full := filepath.Join(s.dir, file)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, []byte(here.Replace(text)), 0o644); err != nil {
			return err
		}
	}
	if x.prepare != nil {
		if err := x.prepare(s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var args []string
	for _, a := range x.run {
		args = append(args, here.Replace(a))
	}
	p, err := s.start("servers", name+".out", args...)
	if err != nil {
		return err
	}
	s.served[name] = true
	ports := x.ports
	if name == "mail" {
		ports = append(ports, 25)
	}
	for _, port := range ports {
		if port == 25 {
			p = s.postfix
		}
		if err := s.listens(p, fmt.Sprintf("%s:%d", addressOf[name], port)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// listens waits until a server takes connections.
func (s *story) listens(p *process, address string) error {
	var err error
	for range 100 {
		var c net.Conn
		err = s.within("servers", func() error {
			var err error
			c, err = net.DialTimeout("tcp", address, time.Second)
			return err
		})
		if err == nil {
			return c.Close()
		}
		if p.wait(100 * time.Millisecond) {
			return fmt.Errorf("ended before it listened: %s", p.said())
		}
	}
	return fmt.Errorf("does not listen: %w: %s", err, p.said())
}
