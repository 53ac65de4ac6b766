package clock

import "testing"

const hour = int64(3600e9)

func TestClock(t *testing.T) {
	steady := func(c *Clock, from int64, n int) {
		for i := range n {
			c.Stamp(from + int64(i)*1e6)
		}
	}
	t.Run("one stamp 80 years ahead is not believed", func(t *testing.T) {
		var c Clock
		steady(&c, hour, 20)
		before := c.Now()
		if got := c.Stamp(80 * 365 * 24 * hour); got != before {
			t.Errorf("the clock moved by %d ns", got-before)
		}
		if got := c.Stamp(before + 5e6); got != before+5e6 {
			t.Errorf("the clock stands at %d, want %d", got, before+5e6)
		}
		if c.Doubted != 1 || c.Jumps != 0 {
			t.Errorf("doubted %d jumps %d, want 1 and 0", c.Doubted, c.Jumps)
		}
	})
	t.Run("the first stamp 80 years ahead does not freeze the clock", func(t *testing.T) {
		var c Clock
		c.Stamp(80 * 365 * 24 * hour)
		if got := c.Stamp(hour); got != hour {
			t.Errorf("the clock stands at %d, want %d", got, hour)
		}
	})
	t.Run("a first stamp of 1970 is overruled by the next two", func(t *testing.T) {
		var c Clock
		c.Stamp(0)
		c.Stamp(50 * 365 * 24 * hour)
		if got, want := c.Stamp(50*365*24*hour+1), 50*365*24*hour+1; got != want {
			t.Errorf("the clock stands at %d, want %d", got, want)
		}
		if got := c.Stamp(130 * 365 * 24 * hour); got != 50*365*24*hour+1 {
			t.Errorf("then one stamp moves it to %d", got)
		}
	})
	t.Run("a silence of 30 years is believed after 16 packets", func(t *testing.T) {
		var c Clock
		steady(&c, hour, 20)
		later := hour + 30*365*24*hour
		for i := range int64(17) {
			c.Stamp(later + i)
		}
		if c.Now() < later || c.Jumps != 1 {
			t.Errorf("the clock stands at %d after %d jumps", c.Now(), c.Jumps)
		}
	})
	t.Run("backwards is clamped, and a lasting step back does not stop timers", func(t *testing.T) {
		var c Clock
		steady(&c, 100*hour, 20)
		top := c.Now()
		steady(&c, hour, 40)
		if c.Now() <= top {
			t.Errorf("the clock stands still at %d", c.Now())
		}
		if c.Clamped == 0 {
			t.Error("nothing was counted")
		}
	})
	t.Run("a clock that begins at a time needs no packets", func(t *testing.T) {
		var c Clock
		c.Begin(hour)
		if c.Pass(hour + 5); !c.Settled() || c.Now() != hour+5 {
			t.Errorf("settled %v at %d", c.Settled(), c.Now())
		}
		if c.Pass(hour); c.Now() != hour+5 || c.Clamped != 0 {
			t.Errorf("stands at %d, %d clamped", c.Now(), c.Clamped)
		}
	})
	t.Run("time that passes without packets confirms that the machine's clock was set", func(t *testing.T) {
		var c Clock
		c.Begin(hour)
		for i := range int64(17) {
			c.Pass(10*hour + i*1e8)
		}
		if c.Now() < 10*hour || c.Jumps != 1 {
			t.Errorf("stands at %d after %d jumps", c.Now(), c.Jumps)
		}
	})
	t.Run("a clock set back by mistake and put right again goes on at the right time", func(t *testing.T) {
		var c Clock
		c.Begin(100 * hour)
		steady(&c, 100*hour, 1000)
		steady(&c, 98*hour, 1000) // two hours back
		if c.Now() < 100*hour || c.Now() > 100*hour+10e9 {
			t.Errorf("stands at %d", c.Now())
		}
		steady(&c, 100*hour+10e9, 1000)
		if got := c.Now(); got < 100*hour+10e9 || got > 100*hour+12e9 {
			t.Errorf("stands %d s from where it should", (got-100*hour-10e9)/1e9)
		}
	})
}
