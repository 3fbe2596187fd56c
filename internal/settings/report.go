package settings

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/identity"
)

// State says what a key does in this version.
type State uint8

// Values of State.
const (
	_              State = iota
	Effective            // does what it says
	NotImplemented       // is known, and this value does nothing yet
	Unknown              // nobody knows this key: a spelling mistake, or a version that is newer than this one
	Invalid              // the value makes no sense, the default is in use
)

func (s State) String() string {
	return [...]string{"", "effective", "not implemented", "unknown", "invalid"}[s]
}

// Line says what became of one key.
type Line struct {
	Key, Value string
	State      State
	Protection bool   // the key asks for something that keeps attackers out
	Message    string // why it is not effective; empty if it is
}

// Alarm tells whether somebody who relies on this key has not got what they asked for, and is in danger.
func (l Line) Alarm() bool { return l.Protection && l.State != Effective }

// Report says what becomes of each key that is set, in the order of the keys.
func Report(values map[string]string) []Line {
	lines := make([]Line, 0, len(values))
	for name, value := range values {
		lines = append(lines, line(name, strings.TrimSpace(value)))
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Key, b.Key) })
	return lines
}

func line(name, value string) Line {
	l := Line{Key: name, Value: value, State: Effective}
	k, known := catalogue[name]
	if !known {
		l.State, l.Message = Unknown, "no such key; is it spelled right?"
		return l
	}
	l.Protection = k.Protection
	if err := k.syntax.check(value); err != nil {
		l.State, l.Message = Invalid, fmt.Sprintf("%v; using %q", err, k.Default)
		if k.syntax == patterns {
			l.Message = err.Error() // the others are in use
		}
		return l
	}
	if !k.works(value) {
		l.State, l.Message = NotImplemented, cmp.Or(k.Instead, "does nothing yet")
	}
	return l
}

// atStart are the keys that programs are loaded with, or that something is opened with: an agent reads them when it starts.
// It follows all others as they change.
var atStart = strings.Fields(`
enable-ipv4 enable-ipv6 enable-ipv4-masquerade enable-ipv6-masquerade masquerade tunnel-port service-no-backend-response enable-tcx
enable-hubble hubble-socket-path bpf-map-dynamic-size-ratio bpf-ct-global-tcp-max bpf-ct-global-any-max
bpf-nat-global-max bpf-fragments-map-max bpf-lb-affinity-map-max
bpf-ct-timeout-regular-tcp bpf-ct-timeout-regular-tcp-syn bpf-ct-timeout-regular-tcp-fin bpf-ct-timeout-regular-any
bpf-ct-timeout-service-tcp bpf-ct-timeout-service-tcp-grace bpf-ct-timeout-service-any
prometheus-serve-addr prometheus-enable-tls prometheus-tls-cert-file prometheus-tls-key-file prometheus-tls-client-ca-files`)

// Pending says of each key whose value has changed since an agent started, and that it does not follow, what it runs with.
// Both maps hold the keys that are set.
func Pending(started, now map[string]string) map[string]string {
	out := map[string]string{}
	for _, name := range atStart {
		before, was := started[name]
		after, is := now[name]
		if !was {
			before = catalogue[name].Default
		}
		if !is {
			after = catalogue[name].Default
		}
		if before == after {
			continue
		}
		out[name] = fmt.Sprintf("takes effect when the agent starts next; it runs with %q", before)
	}
	return out
}

// Key is an entry of the catalogue.
type Key struct {
	Name       string
	Default    string
	Instead    string // what happens while a value is not implemented
	Protection bool
	syntax     syntax
	have       []string // the values that are implemented; nil: all
	none       bool     // no value is implemented
}

func (k Key) works(value string) bool {
	switch {
	case k.none:
		return false
	case k.have == nil:
		return true
	}
	return slices.ContainsFunc(k.have, func(v string) bool { return same(v, value) })
}

// same compares values; "1", "t" and "True" are all "true".
func same(a, b string) bool {
	x, errX := strconv.ParseBool(a)
	y, errY := strconv.ParseBool(b)
	if errX == nil && errY == nil {
		return x == y
	}
	return strings.EqualFold(a, b)
}

// Keys lists the catalogue in the order of names.
func Keys() []Key {
	keys := make([]Key, 0, len(catalogue))
	for _, k := range catalogue {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return keys
}

// syntax is what the value of a key looks like.
type syntax string

const (
	anything syntax = ""
	boolean  syntax = "boolean"
	integer  syntax = "integer"
	share    syntax = "share"
	count    syntax = "count" // of entries; empty or 0: not said
	life     syntax = "life"  // a time; empty or 0: not said
	prefix   syntax = "prefix"
	prefixes syntax = "prefixes"
	patterns syntax = "patterns"
	address  syntax = "address" // to listen on; empty: not said
	// any other syntax is a list of words, of which the value is one: "tunnel|native"
)

// maxLife is the longest time that a connection may be remembered: the kernel counts it in seconds, on from its start.
const maxLife = 596 * time.Hour

func (s syntax) check(value string) error {
	switch s {
	case anything:
		return nil
	case boolean:
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("is not true or false")
		}
	case integer:
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Errorf("is not a whole number")
		}
	case share:
		if x, err := strconv.ParseFloat(value, 64); err != nil || !(x >= 0 && x <= 1) {
			return fmt.Errorf("is not a number from 0 to 1, such as 0.0025")
		}
	case count:
		if value == "" || value == "0" {
			return nil
		}
		if n, err := strconv.Atoi(value); err != nil || n < minEntries || n > maxEntries {
			return fmt.Errorf("is not a whole number from %d to %d", minEntries, maxEntries)
		}
	case life:
		if value == "" {
			return nil
		}
		if d, err := time.ParseDuration(value); err != nil || d != 0 && (d < time.Second || d > maxLife) {
			return fmt.Errorf("is not a time from 1s to %s, such as 60s or 2h13m20s", maxLife)
		}
	case prefix:
		if value == "" {
			return nil
		}
		return checkPrefix(value)
	case prefixes:
		for _, w := range words(value) {
			if err := checkPrefix(w); err != nil {
				return err
			}
		}
	case patterns:
		if _, err := identity.NewFilter(words(value)); err != nil {
			return fmt.Errorf("has patterns that are left out: %w", err)
		}
	case address:
		if value == "" {
			return nil
		}
		if _, port, err := net.SplitHostPort(value); err != nil || !isPort(port) {
			return fmt.Errorf("is not an address to listen on, such as :9962 or 127.0.0.1:9962")
		}
	default:
		choices := strings.Split(string(s), "|")
		if !slices.Contains(choices, value) {
			return fmt.Errorf("is not one of %s", strings.Join(choices, ", "))
		}
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func checkPrefix(value string) error {
	if _, err := netip.ParsePrefix(value); err != nil {
		return fmt.Errorf("is not a prefix such as 10.244.0.0/16 or fd00:244::/48")
	}
	return nil
}
