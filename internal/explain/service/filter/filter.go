// Package filter chooses frontends by what people know of them.
//
// # The world it models
//
// Of one kind of condition any may hold, of each kind one must; no condition holds of all:
//
//	namespace=shop, port=80, port=443     frontends of namespace shop at either port
//
// # Example
//
//	f, err := filter.Parse(url.Values{"ip": {"10.96.0.0/12"}, "protocol": {"udp"}})
//	f.Lets(row)
package filter

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/table"
)

// Filter says which frontends people want to see.
type Filter struct {
	namespaces, services []string
	addresses, backends  []netip.Prefix
	ports                []uint16
	protocols            []uint8
}

// Parse reads the conditions of a query: namespace, service ([NAMESPACE/]PREFIX), ip and backend (address or prefix), port,
// protocol.
func Parse(query url.Values) (f Filter, err error) {
	f.namespaces, f.services = query["namespace"], query["service"]
	if f.addresses, err = prefixes("ip", query["ip"]); err != nil {
		return f, err
	}
	if f.backends, err = prefixes("backend", query["backend"]); err != nil {
		return f, err
	}
	for _, text := range query["port"] {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return f, fmt.Errorf("port %q is no number from 1 to 65535", text)
		}
		f.ports = append(f.ports, uint16(n))
	}
	for _, text := range query["protocol"] {
		n, known := callee.Protocols[strings.ToLower(text)]
		if !known {
			return f, fmt.Errorf("protocol %q is not one of tcp, udp, sctp", text)
		}
		f.protocols = append(f.protocols, n)
	}
	return f, nil
}

func prefixes(name string, list []string) (out []netip.Prefix, err error) {
	for _, text := range list {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q is neither an address nor a prefix like 10.96.0.0/12", name, text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Lets tells whether people want to see a frontend.
func (f Filter) Lets(row table.Frontend) bool {
	in := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	named := func(text string) bool {
		namespace, prefix, whole := strings.Cut(text, "/")
		if !whole {
			namespace, prefix = row.Namespace, text
		}
		return row.Namespace == namespace && strings.HasPrefix(row.Name, prefix)
	}
	served := func(b table.Backend) bool { return in(f.backends, b.Address) }
	return (len(f.namespaces) == 0 || slices.Contains(f.namespaces, row.Namespace)) &&
		(len(f.services) == 0 || slices.ContainsFunc(f.services, named)) &&
		(len(f.addresses) == 0 || in(f.addresses, row.Address)) &&
		(len(f.backends) == 0 || slices.ContainsFunc(row.Backends, served)) &&
		(len(f.ports) == 0 || slices.Contains(f.ports, row.Port)) &&
		(len(f.protocols) == 0 || slices.Contains(f.protocols, row.Protocol))
}
