package churn

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// model knows what has happened, and so which calls may fail, and who may answer.
//
// # The world it models
//
//	listed ---- unlisted ---- settled -------- ends      a backend that goes as it should: no call fails but one that it has, which may be cut off
//	                                                     until settled, and none that begins after settled reaches it
//	listed ---- ends ---- unlisted ---- settled          one that is lost: calls between ends and settled may have been led to it
type model struct {
	mu       sync.Mutex
	backends map[string]*backend // by the name that they answer with
	changed  time.Time           // when the policy about guests began to change
	settled  time.Time           // … and was in force on all nodes
	denied   bool                // what it says then
}

// backend is one that serves, or has served. Times are zero as long as that has not happened.
type backend struct {
	retired  time.Time // it takes no new calls, on all nodes
	unlisted time.Time // it began to be unlisted: conversations with it may end
	ends     time.Time // it began to end
	gone     time.Time // it is unlisted on all nodes, as far as calls that begin are concerned
}

func newModel() *model { return &model{backends: map[string]*backend{}} }

func (m *model) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// note writes down that something happens to a backend now.
func (m *model) note(name string, at func(*backend) *time.Time) {
	m.do(func() { *at(m.backends[name]) = time.Now() })
}

// slow is how long an answer takes at most, on a machine that is busy. What began earlier before a backend ended was lost without that.
const slow = 5 * time.Second

// explains tells why a call may have failed with an error; empty: it may not.
func (m *model) explains(began, ended time.Time, err error) string {
	// The last one where a socket of UDP was ended, whose backend no service offers any more, before it sent.
	cut := errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EDESTADDRREQ)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.backends)) {
		b := m.backends[name]
		if !b.ends.IsZero() && began.After(b.ends.Add(-slow)) && !ended.Before(b.ends) && (b.gone.IsZero() || !began.After(b.gone)) {
			return name + " was lost"
		}
		if cut && !b.unlisted.IsZero() && began.After(b.unlisted.Add(-slow)) && !ended.Before(b.unlisted) && (b.gone.IsZero() || !began.After(b.gone)) {
			return name + " was taken out"
		}
	}
	return ""
}

// answered judges who answered a call.
func (m *model) answered(by, network string, began time.Time) error {
	name, _, _ := strings.Cut(by, " ")
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.backends[name]
	switch {
	case b == nil:
		return fmt.Errorf("%q answered, which is no backend", by)
	case !since(network, b).IsZero() && began.After(since(network, b)):
		return fmt.Errorf("%q answered a call that began %v after no node was to lead new ones to it", by, began.Sub(since(network, b)).Round(time.Millisecond))
	}
	return nil
}

// since is when a backend takes no new calls. A call by UDP may have the ports of one before, and go on with that one's backend while that is
// listed at all.
func since(network string, b *backend) time.Time {
	if network == "udp" {
		return b.gone
	}
	return b.retired
}

// ended tells why a conversation with a backend may have ended; empty: it may not.
func (m *model) ended(with string) string {
	name, _, _ := strings.Cut(with, " ")
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.backends[name]; b != nil && !b.unlisted.IsZero() {
		return name + " had been taken out of the service"
	}
	return ""
}

// guests tells what the policy about guests said during a call: whether all the time the same, and what.
func (m *model) guests(began time.Time) (steady, denied bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.settled.Before(m.changed) && began.After(m.settled), m.denied
}
