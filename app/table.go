// Package app finds out which protocol a flow speaks and drives its parser.
//
// In: flows with in-order bytes (TCP, from stream's cursors) or datagrams (UDP). Out: a
// Conversation with live transactions that detect, eve and the own detectors read; the
// flow's AppProto fields; a vocabulary of keywords for rule. Called by each worker with
// its own Driver; nothing is shared. It never judges what was said, never blocks, and a
// parser that panics costs one flow its parser, not the worker.
package app

import (
	"github.com/dejpha/dejpha/app/contract"
	"github.com/dejpha/dejpha/app/dcerpc"
	"github.com/dejpha/dejpha/app/dhcp"
	"github.com/dejpha/dejpha/app/dns"
	"github.com/dejpha/dejpha/app/ftp"
	"github.com/dejpha/dejpha/app/http1"
	"github.com/dejpha/dejpha/app/krb5"
	"github.com/dejpha/dejpha/app/ldap"
	"github.com/dejpha/dejpha/app/login"
	"github.com/dejpha/dejpha/app/mqtt"
	"github.com/dejpha/dejpha/app/sip"
	"github.com/dejpha/dejpha/app/smb"
	"github.com/dejpha/dejpha/app/smtp"
	"github.com/dejpha/dejpha/app/ssh"
	"github.com/dejpha/dejpha/app/tls"
)

// Protocols is the table of all protocols, in order of probing. A new protocol is one line here.
func Protocols() []contract.Protocol {
	return append([]contract.Protocol{
		http1.Protocol(),
		smb.Protocol(),
		dcerpc.Protocol(),
		krb5.Protocol(),
		ldap.Protocol(),
		tls.Protocol(),
		ssh.Protocol(),
		sip.Protocol(),
		mqtt.Protocol(),
		smtp.Protocol(),
		ftp.Protocol(),
		ftp.DataProtocol(),
		dns.Protocol(),
		dhcp.Protocol(),
	}, login.Protocols()...)
}

// Numbers in flow.AppProto that are not an index into the table.
const (
	Unknown uint16 = 0 // nothing known yet
	Failed  uint16 = 1 // identification gave up
	first   uint16 = 2 // the table's first line
)

// FirstProtocol is the number of the table's first line.
const FirstProtocol = first
