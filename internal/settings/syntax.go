package settings

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/identity"
)

// syntax is what the value of a key looks like.
type syntax string

const (
	anything syntax = ""
	boolean  syntax = "boolean"
	integer  syntax = "integer"
	fraction syntax = "fraction"
	count    syntax = "count" // of entries; empty or 0: not said
	life     syntax = "life"  // a time; empty or 0: not said
	prefix   syntax = "prefix"
	prefixes syntax = "prefixes"

	portAddresses syntax = "prefixes, or primary"
	primary              = "primary" // the word of kube-proxy's --nodeport-addresses
	patterns      syntax = "patterns"
	address       syntax = "address" // to listen on; empty: not said
	ports         syntax = "FIRST,LAST"
	seed          syntax = "12 bytes in base64" // empty: not said

	addresses4 syntax = "IPv4 addresses"
	prefixes4  syntax = "IPv4 prefixes"
	netmask    syntax = "netmask" // empty: not said
	macs       syntax = "MAC addresses"
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
	case fraction:
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
	case portAddresses:
		if value == primary {
			return nil
		}
		return prefixes.check(value)
	case prefixes:
		for _, w := range words(value) {
			if err := checkPrefix(w); err != nil {
				return err
			}
		}
	case addresses4, prefixes4, macs:
		for _, w := range words(value) {
			if err := s.checkWord(w); err != nil {
				return err
			}
		}
	case netmask:
		if _, ok := maskBits(value); value != "" && !ok {
			return fmt.Errorf("is not a netmask such as 255.255.255.0")
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
	case ports:
		if low, high, two := strings.Cut(value, ","); !two || !isPort(low) || !isPort(high) {
			return fmt.Errorf("is not two ports, such as 30000,32767")
		}
	case seed:
		if b, err := base64.StdEncoding.DecodeString(value); err != nil || value != "" && len(b) != len(Seed{}) {
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
func (s syntax) checkWord(w string) error {
	switch s {
	case addresses4:
		if a, err := netip.ParseAddr(w); err != nil || !a.Is4() {
			return fmt.Errorf("has %q, which is not an IPv4 address such as 10.169.72.236", w)
		}
	case prefixes4:
		if p, err := netip.ParsePrefix(w); err != nil || !p.Addr().Is4() {
			return fmt.Errorf("has %q, which is not an IPv4 prefix such as 10.1.1.0/24", w)
		}
	case macs:
		if m, err := net.ParseMAC(w); err != nil || len(m) != len(MAC{}) {
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

// String is the syntax in words.
func (s syntax) String() string {
	switch s {
	case anything:
		return "text"
	case boolean:
		return "true, false"
	case integer:
		return "number"
	case fraction:
		return "0 to 1"
	case count:
		return fmt.Sprintf("%d to %d", minEntries, maxEntries)
	case life:
		return "1s to 596h"
	case prefix, prefixes, portAddresses, patterns, address, ports, seed, addresses4, prefixes4, netmask, macs:
		return string(s)
	}
	return strings.Join(slices.DeleteFunc(strings.Split(string(s), "|"), func(w string) bool { return w == "" }), ", ")
}
