package key

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/flow/metric"
	"weftnet.io/weftnet/internal/identity"
)

// Syntax is what the value of a key looks like.
type Syntax string

const (
	Anything Syntax = ""
	Boolean  Syntax = "boolean"
	Integer  Syntax = "integer"
	Fraction Syntax = "fraction"
	Count    Syntax = "count" // of entries; empty or 0: not said
	Life     Syntax = "life"  // a time; empty or 0: not said
	Prefix   Syntax = "prefix"
	Prefixes Syntax = "prefixes"

	PortAddresses Syntax = "prefixes, or primary"
	Primary              = "primary" // the word of kube-proxy's --nodeport-addresses
	Patterns      Syntax = "patterns"
	FlowMetrics   Syntax = "metrics of flows"
	Address       Syntax = "address" // to listen on; empty: not said
	Ports         Syntax = "FIRST,LAST"
	Seed          Syntax = "12 bytes in base64" // empty: not said

	Addresses4 Syntax = "IPv4 addresses"
	Prefixes4  Syntax = "IPv4 prefixes"
	Netmask    Syntax = "netmask" // empty: not said
	MACs       Syntax = "MAC addresses"
	// any other Syntax is a list of words, of which the value is one: "tunnel|native"
)

// Lengths of values that are bytes.
const (
	seedBytes = 12
	macBytes  = 6
)

// maxLife is the longest time that a connection may be remembered: the kernel counts it in seconds, on from its start.
const maxLife = 596 * time.Hour

func (s Syntax) Check(value string) error {
	switch s {
	case Anything:
		return nil
	case Boolean:
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("is not true or false")
		}
	case Integer:
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Errorf("is not a whole number")
		}
	case Fraction:
		if x, err := strconv.ParseFloat(value, 64); err != nil || !(x >= 0 && x <= 1) {
			return fmt.Errorf("is not a number from 0 to 1, such as 0.0025")
		}
	case Count:
		if value == "" || value == "0" {
			return nil
		}
		if n, err := strconv.Atoi(value); err != nil || n < minEntries || n > maxEntries {
			return fmt.Errorf("is not a whole number from %d to %d", minEntries, maxEntries)
		}
	case Life:
		if value == "" {
			return nil
		}
		if d, err := time.ParseDuration(value); err != nil || d != 0 && (d < time.Second || d > maxLife) {
			return fmt.Errorf("is not a time from 1s to %s, such as 60s or 2h13m20s", maxLife)
		}
	case Prefix:
		if value == "" {
			return nil
		}
		return checkPrefix(value)
	case PortAddresses:
		if value == Primary {
			return nil
		}
		return Prefixes.Check(value)
	case Prefixes:
		for _, w := range Words(value) {
			if err := checkPrefix(w); err != nil {
				return err
			}
		}
	case Addresses4, Prefixes4, MACs:
		for _, w := range Words(value) {
			if err := s.checkWord(w); err != nil {
				return err
			}
		}
	case Netmask:
		if _, ok := MaskBits(value); value != "" && !ok {
			return fmt.Errorf("is not a netmask such as 255.255.255.0")
		}
	case Patterns:
		if _, err := identity.NewFilter(Words(value)); err != nil {
			return fmt.Errorf("has patterns that are left out: %w", err)
		}
	case FlowMetrics:
		if _, err := metric.Parse(value); err != nil {
			return fmt.Errorf("has metrics that are left out: %w", err)
		}
	case Address:
		if value == "" {
			return nil
		}
		if _, port, err := net.SplitHostPort(value); err != nil || !isPort(port) {
			return fmt.Errorf("is not an address to listen on, such as :9962 or 127.0.0.1:9962")
		}
	case Ports:
		if low, high, two := strings.Cut(value, ","); !two || !isPort(low) || !isPort(high) {
			return fmt.Errorf("is not two ports, such as 30000,32767")
		}
	case Seed:
		if b, err := base64.StdEncoding.DecodeString(value); err != nil || value != "" && len(b) != seedBytes {
			return fmt.Errorf("is not 12 bytes in base64, as `head -c12 /dev/urandom | base64` prints them")
		}
	default:
		choices := strings.Split(string(s), "|")
		if !slices.Contains(choices, value) {
			return fmt.Errorf("is not one of %s", strings.Join(choices, ", "))
		}
	}
	return nil
}

// checkWord is check for one of a list.
func (s Syntax) checkWord(w string) error {
	switch s {
	case Addresses4:
		if a, err := netip.ParseAddr(w); err != nil || !a.Is4() {
			return fmt.Errorf("has %q, which is not an IPv4 address such as 10.169.72.236", w)
		}
	case Prefixes4:
		if p, err := netip.ParsePrefix(w); err != nil || !p.Addr().Is4() {
			return fmt.Errorf("has %q, which is not an IPv4 prefix such as 10.1.1.0/24", w)
		}
	case MACs:
		if m, err := net.ParseMAC(w); err != nil || len(m) != macBytes {
			return fmt.Errorf("has %q, which is not a MAC address such as 82:36:4c:98:2e:56", w)
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

// String is the Syntax in words.
func (s Syntax) String() string {
	switch s {
	case Anything:
		return "text"
	case Boolean:
		return "true, false"
	case Integer:
		return "number"
	case Fraction:
		return "0 to 1"
	case Count:
		return fmt.Sprintf("%d to %d", minEntries, maxEntries)
	case Life:
		return "1s to 596h"
	case Prefix, Prefixes, PortAddresses, Patterns, FlowMetrics, Address, Ports, Seed, Addresses4, Prefixes4, Netmask, MACs:
		return string(s)
	}
	return strings.Join(slices.DeleteFunc(strings.Split(string(s), "|"), func(w string) bool { return w == "" }), ", ")
}

// MaskBits is the length of the prefix that a netmask such as 255.255.255.0 means.
func MaskBits(text string) (bits int, ok bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	mask := net.IPMask(a.AsSlice())
	ones, of := mask.Size()
	return ones, of == 32
}
