package clerk

import (
	"fmt"
	"path/filepath"

	"github.com/dejpha/dejpha/evidence"
	"github.com/dejpha/dejpha/evidence/durable"
)

// Save makes everything handed over so far durable, leaves a snapshot of what is open, and lets go of what is no longer
// kept; now is the log's clock, ns. The snapshot (shield/resume.go reads it) holds how long the record file was when every
// sealed attack stood in it, and the open accounts. shadow is the rehearsal; nil: none.
//
// One snapshot waits at most: they may be large.
func (c *Clerk) Save(accounts, shadow []byte, now int64) {
	c.waiting = 0
	if !c.queue.running {
		c.queue.fail(c.save(accounts, shadow, now))
		return
	}
	if c.holds() {
		c.handLines()
	}
	c.queue.put(job{size: len(accounts) + len(shadow), save: true, do: func() error { return c.save(accounts, shadow, now) }})
}

func (c *Clerk) save(accounts, shadow []byte, now int64) error {
	c.out.now = max(c.out.now, now)
	if err := c.flush(); err != nil {
		return err
	}
	size, err := c.o.Records.Sync()
	if err == nil && c.o.Records.Ripe(c.o.KeepEve, now) {
		err = c.o.Records.Rotate(now)
		size = 0
	}
	switch {
	case err != nil && c.begun:
		if c.out.lines == nil {
			c.linesDown(err)
		}
		c.linesAgain(false)
		return nil
	case err != nil:
		return err
	case c.out.log != nil: // a snapshot would vouch for what is not sealed
		c.logAgain(false)
		return nil
	}
	c.out.synced, c.out.leaf, c.out.loose = size, c.out.last, 0
	// The accounts are JSON already, tens of megabytes under a wide attack: they are not read again for it.
	c.snapshot = append(fmt.Appendf(c.snapshot[:0], `{"records":%d,"accounts":`, size), accounts...)
	c.snapshot = append(c.snapshot, '}')
	err = c.log.Snapshot(c.snapshot)
	if err == nil {
		err = c.keepShadow(shadow)
	}
	if err == nil {
		err = c.retain(now)
	}
	if err != nil && c.begun {
		c.logDown(err)
		return nil
	}
	return err
}

// keepShadow writes the rehearsal into its file.
func (c *Clerk) keepShadow(shadow []byte) error {
	if shadow == nil || c.o.Shadow == "" {
		return nil
	}
	if err := durable.OS().Replace(c.o.Shadow, shadow); err != nil {
		return fmt.Errorf("cannot keep the rehearsal: %w", err)
	}
	return nil
}

// retain lets go of what the configuration no longer keeps: nothing of it may wait to be acknowledged. Each file's
// deletion is an event of the log before it is done.
func (c *Clerk) retain(now int64) error {
	if err := c.log.Retain(c.o.Keep, now); err != nil {
		return err
	}
	old, err := c.o.Records.Outdated(c.o.KeepEve, now)
	if err != nil || len(old) == 0 {
		return err
	}
	for _, path := range old {
		if err := c.log.Event(evidence.CodeRetention, now, -1, []byte("eve/"+filepath.Base(path)), nil); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	for _, path := range old {
		if err := c.o.Records.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Reopen goes on in a new record file: the old one was moved away. The channel yields how that went.
func (c *Clerk) Reopen() <-chan error {
	answer := make(chan error, 1)
	c.hand(0, func() error {
		err := c.o.Records.Reopen()
		answer <- err
		switch {
		case err == nil:
			c.out.synced, c.out.leaf, c.out.loose = c.o.Records.Size(), c.out.last, 0
		case c.begun:
			if c.out.lines == nil {
				c.linesDown(err)
			}
			return nil
		}
		return err
	})
	return answer
}
