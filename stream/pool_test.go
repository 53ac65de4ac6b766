package stream

import "testing"

// Every length gets the smallest class that holds it, and every class is its own.
func TestClassesHoldWhatTheyAreTakenFor(t *testing.T) {
	for c := range poolClasses {
		if class(size(c)) != c || c > 0 && class(size(c-1)+1) != c {
			t.Errorf("class %d of %d bytes: class(size) = %d, one more than the class below = %d", c, size(c), class(size(c)), class(size(max(c-1, 0))+1))
		}
	}
	if top := size(poolClasses - 1); top != 4<<20 || class(top+1) != poolClasses-1 {
		t.Errorf("the largest class has %d bytes", top)
	}
	e := New(Config{MemoryBytes: 1 << 10})
	if b := e.take(700); cap(b) != 768 || e.take(300) != nil || e.Counters.MemoryFull != 1 {
		t.Errorf("the budget was not held: %+v", e.Counters)
	} else if e.give(b); cap(e.take(600)) != 768 {
		t.Error("a buffer given back was not taken again")
	}
}
