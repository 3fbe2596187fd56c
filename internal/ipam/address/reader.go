package address

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/policy/gap"
)

// Reader reads parts of a configuration, and notes what cannot be read.
type Reader struct {
	Gaps []gap.Gap
}

// Reject notes that a field makes no sense, and why.
func (r *Reader) Reject(field, because string, args ...any) {
	r.Gaps = append(r.Gaps, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// Ignore notes that a field does nothing, and why.
func (r *Reader) Ignore(field, because string, args ...any) {
	r.Gaps = append(r.Gaps, gap.Gap{Reason: gap.Ignored, Field: field, Message: fmt.Sprintf(because, args...)})
}

// Invalid are the gaps with which nothing can be granted.
func Invalid(gaps []gap.Gap) (out []gap.Gap) {
	for _, g := range gaps {
		if g.Reason == gap.Invalid {
			out = append(out, g)
		}
	}
	return out
}

// Parse reads an address. Leading zeros of IPv4 count for nothing, and an IPv4 address written as IPv6 is IPv4.
func Parse(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(plain(text))
	if err == nil && a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q has a zone", text)
	}
	return a.Unmap(), err
}

// ParsePrefix reads an address with the length of its subnet. Bits behind the length stay.
func ParsePrefix(text string) (netip.Prefix, error) {
	address, length, ok := strings.Cut(text, "/")
	if !ok {
		return netip.Prefix{}, fmt.Errorf("%q has no length", text)
	}
	p, err := netip.ParsePrefix(plain(address) + "/" + length)
	if err == nil && p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is neither IPv4 nor IPv6", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, err
}

// plain takes leading zeros off the parts of an IPv4 address.
func plain(text string) string {
	if strings.Contains(text, ":") {
		return text
	}
	parts := strings.Split(text, ".")
	for i, part := range parts {
		if short := strings.TrimLeft(part, "0"); part != "" && len(part) > 1 {
			if short == "" {
				short = "0"
			}
			parts[i] = short
		}
	}
	return strings.Join(parts, ".")
}

// Address reads a field that is an address; the zero one, if it is empty or makes no sense.
func (r *Reader) Address(field, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	a, err := Parse(text)
	if err != nil {
		r.Reject(field, "%q is no address", text)
		return netip.Addr{}
	}
	return a
}

// RouteText is a route as a configuration has it.
type RouteText struct {
	Dst      string `json:"dst"`
	GW       string `json:"gw"`
	MTU      int    `json:"mtu"`
	AdvMSS   int    `json:"advmss"`
	Priority int    `json:"priority"`
	Table    *int   `json:"table"`
	Scope    *int   `json:"scope"`
}

// Routes reads a list of routes.
func (r *Reader) Routes(field string, texts []RouteText) (out []Route) {
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", field, i)
		dst, err := ParsePrefix(text.Dst)
		if err != nil {
			r.Reject(at+".dst", "%q is no subnet, such as 10.0.0.0/8; 0.0.0.0/0 is the default route", text.Dst)
			continue
		}
		route := Route{
			Destination: dst.Masked(), Gateway: r.Address(at+".gw", text.GW), MTU: text.MTU, AdvMSS: text.AdvMSS, Priority: text.Priority,
		}
		if text.Table != nil {
			route.Table = *text.Table
		}
		if text.Scope != nil {
			route.Scope = *text.Scope
		}
		if route.Gateway.IsValid() && route.Gateway.Is4() != dst.Addr().Is4() {
			r.Reject(at+".gw", "%s is not of the family of %s", route.Gateway, dst)
			continue
		}
		out = append(out, route)
	}
	return out
}
