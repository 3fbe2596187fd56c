package cilium

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/policy"
)

const maxPorts = 40 // per element of toPorts, and of icmps

// protocols are those with ports, and ANY for all of them.
var protocols = map[string][]uint8{
	"": policy.Transports, "ANY": policy.Transports,
	"TCP": {policy.TCP}, "UDP": {policy.UDP}, "SCTP": {policy.SCTP},
}

// pings are protocols without ports that toPorts are not for.
var pings = []string{"ICMP", "ICMPV6"}

// portRule reads an element of toPorts. Without ports it stands for all ports.
func (e *element) portRule(in *v2.PortRule, field string) []policy.Port {
	e.checkL7(in, field)
	for _, part := range []struct {
		there bool
		name  string
	}{
		{in.TerminatingTLS != nil, "terminatingTLS"},
		{in.OriginatingTLS != nil, "originatingTLS"},
		{len(in.ServerNames) > 0, "serverNames"},
		{in.Listener != nil, "listener"},
	} {
		if part.there {
			e.lacks(field+"."+part.name, "it needs a proxy, and there is none yet")
		}
	}
	for _, family := range l7Families(in.Rules) {
		e.lacks(field+".rules."+family, "rules for requests (L7) are not enforced yet")
	}
	if len(in.Ports) > maxPorts {
		e.Reject(field+".ports", "too many ports, the max is %d", maxPorts)
		return nil
	}
	var out []policy.Port
	if len(in.Ports) == 0 {
		for _, protocol := range policy.Transports {
			out = append(out, policy.AllPorts(protocol))
		}
	}
	for i, p := range in.Ports {
		out = e.port(p, fmt.Sprintf("%s.ports[%d]", field, i), out)
	}
	return out
}

// serviceName is the syntax of port names (RFC 6335, section 5.1).
var serviceName = regexp.MustCompile(`^([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$`)

// port appends what one port with its protocol means.
func (e *element) port(in v2.PortProtocol, field string, out []policy.Port) []policy.Port {
	name := strings.ToUpper(in.Protocol)
	numbers, ok := protocols[name]
	without, known := policy.Extended[name]
	if ping := slices.Contains(pings, name); known || ping {
		if in.Port != "" && in.Port != "0" {
			e.Reject(field+".port", "port must be empty or 0")
			return out
		}
		if known {
			e.extended = true
			return append(out, policy.AllPorts(without))
		}
		e.lacks(field+".protocol", "protocol "+name+" is not enforced here yet; use icmps")
		if e.deny {
			out = append(out, policy.AnyPort)
		}
		return out
	}
	if !ok {
		e.Reject(field+".protocol", "invalid protocol %q, must be { tcp | udp | sctp | vrrp | igmp | gre | ipip | ipv6 | esp | ah | any }", in.Protocol)
		return out
	}
	if in.Port == "" {
		e.Reject(field+".port", "port must be specified")
		return out
	}
	if len(in.Port) <= 15 && serviceName.MatchString(in.Port) {
		p := policy.Port{Name: strings.ToLower(in.Port)}
		if len(numbers) == 1 {
			p.Protocol = numbers[0]
		}
		return append(out, p)
	}
	number, err := strconv.ParseUint(in.Port, 0, 16)
	if err != nil {
		e.Reject(field+".port", "unable to parse port: %v", err)
		return out
	}
	first, last := uint16(number), uint16(number)
	switch {
	case first == 0:
		last = 0xffff
	case in.EndPort > 0xffff || in.EndPort < 0:
		e.Reject(field+".endPort", "%d is not between 0 and 65535", in.EndPort)
		return out
	case in.EndPort > int32(first):
		last = uint16(in.EndPort)
	case in.EndPort > 0 && in.EndPort < int32(first):
		e.Ignore(field+".endPort", "%d is below port %d and is ignored", in.EndPort, first)
	}
	for _, protocol := range numbers {
		out = append(out, policy.Port{Protocol: protocol, First: first, Last: last})
	}
	return out
}

// l7Families names the lists of rules for requests that are not empty. An empty list restricts nothing.
func l7Families(rules *v2.L7Rules) (out []string) {
	if rules == nil {
		return nil
	}
	for _, family := range []struct {
		name  string
		there bool
	}{
		{"http", len(rules.HTTP) > 0},
		{"dns", len(rules.DNS) > 0},
		{"kafka", len(rules.Kafka) > 0},
		{"l7proto", rules.L7Proto != ""},
		{"l7", len(rules.L7) > 0},
	} {
		if family.there {
			out = append(out, family.name)
		}
	}
	return out
}

// checkL7 rejects what the language does not let stand together.
func (e *element) checkL7(in *v2.PortRule, field string) {
	families := l7Families(in.Rules)
	dns := in.Rules != nil && len(in.Rules.DNS) > 0
	switch {
	case dns && e.ingress:
		e.Reject(field+".rules.dns", "L7 protocol DNS is not supported on ingress yet")
	case dns && len(in.Ports) == 0:
		e.Reject(field+".ports", "port must be specified for DNS rules")
	case len(in.ServerNames) > 0 && len(families) > 0 && in.TerminatingTLS == nil:
		e.Reject(field+".serverNames", "ServerNames are not allowed with L7 rules without TLS termination")
	case in.Listener != nil && e.ingress:
		e.Reject(field+".listener", "Listener is not allowed on ingress (%s)", in.Listener.Name)
	case in.Listener != nil && len(families) > 0:
		e.Reject(field+".listener", "Listener is not allowed with L7 rules (%s)", in.Listener.Name)
	case dns && len(in.Rules.HTTP) > 0:
		e.Reject(field+".rules", "only one of http and dns can be set: one protocol per element of toPorts")
	}
	for i, name := range in.ServerNames {
		if name == "" {
			e.Reject(fmt.Sprintf("%s.serverNames[%d]", field, i), "empty server name is not allowed")
		}
	}
	if len(families) == 0 {
		return
	}
	for i, p := range in.Ports {
		at := fmt.Sprintf("%s.ports[%d]", field, i)
		protocol := strings.ToUpper(p.Protocol)
		number, err := strconv.ParseUint(p.Port, 0, 16)
		switch {
		case !dns && protocol != "TCP":
			e.Reject(at+".protocol", "L7 rules can only apply to TCP (not %s) except for DNS rules", firstOf(protocol, "ANY"))
		case err == nil && number == 0:
			e.Reject(at+".port", "L7 rules can not be used when a port is 0")
		case dns && err == nil && int64(p.EndPort) > int64(number):
			e.Reject(at+".endPort", "DNS rules do not support port ranges")
		}
	}
	if in.Rules == nil {
		return
	}
	for i, f := range in.Rules.DNS {
		e.checkFQDN(f, fmt.Sprintf("%s.rules.dns[%d]", field, i))
	}
	for i, h := range in.Rules.HTTP {
		for _, x := range []struct{ name, expression string }{{"path", h.Path}, {"method", h.Method}, {"host", h.Host}} {
			if _, err := regexp.Compile(x.expression); err != nil {
				e.Reject(fmt.Sprintf("%s.rules.http[%d].%s", field, i, x.name), "%v", err)
			}
		}
	}
}

func firstOf(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
