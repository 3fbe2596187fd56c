// Package redirect reads CiliumLocalRedirectPolicies.
//
// # The world it models
//
// An object names what is called, by an address or by a Service of its own namespace, and pods of its namespace that are to serve it on
// their nodes. Ports of both sides are joined by their names; one port needs none.
//
// # Invariants
//
//   - An object is rejected whole for an error anywhere in it, with a problem for each, and then leads nothing anywhere.
//   - What is well formed and does less than it says in the World has gaps, which change with that.
//   - No object makes it panic.
//
// # Example
//
//	row := redirect.Policy(object)
//	gaps := redirect.Gaps(row, world) // spec NotEnabled: …
package redirect

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language/label"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/redirect"
)

// reader collects what is wrong with an object.
// Row, Table and Kind are those of the policies' table.
type Row = redirect.Policy

var Table = redirect.Table

const Kind = redirect.Kind

type reader struct{ redirect.Policy }

func (r *reader) reject(field, because string, args ...any) {
	r.Rejects = append(r.Rejects, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// Policy reads an object.
func Policy(o *v2.CiliumLocalRedirectPolicy) redirect.Policy {
	r := &reader{redirect.Policy{Namespace: o.Namespace, Name: o.Name, Created: o.CreationTimestamp.Unix(), Skips: o.Spec.SkipRedirectFromBackend}}
	if o.CreationTimestamp.IsZero() {
		r.Created = 0
	}
	r.frontend(&o.Spec.RedirectFrontend)
	r.backend(&o.Spec.RedirectBackend)
	r.join()
	return r.Policy
}

const frontendField, backendField = "spec.redirectFrontend", "spec.redirectBackend"

// matcher is the field that names what is called.
func (r *reader) matcher() string {
	if r.Service != "" {
		return frontendField + ".serviceMatcher"
	}
	return frontendField + ".addressMatcher"
}

func (r *reader) frontend(f *v2.RedirectFrontend) {
	switch {
	case f.AddressMatcher != nil && f.ServiceMatcher != nil:
		r.reject(frontendField, "it has both addressMatcher and serviceMatcher; keep one, and write another policy for the other")
	case f.AddressMatcher != nil:
		r.address(f.AddressMatcher)
	case f.ServiceMatcher != nil:
		r.service(f.ServiceMatcher)
	default:
		r.reject(frontendField, "it has neither addressMatcher nor serviceMatcher, so nothing is redirected; write one of them")
	}
}

func (r *reader) address(m *v2.RedirectAddress) {
	const field = frontendField + ".addressMatcher"
	a, err := netip.ParseAddr(m.IP)
	switch a = a.Unmap(); {
	case err != nil:
		r.reject(field+".ip", "%q is no IPv4 or IPv6 address such as 169.254.169.254", m.IP)
	case a.Zone() != "":
		r.reject(field+".ip", "%q is of one link of one node; write an address without %%%s", m.IP, a.Zone())
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast():
		r.reject(field+".ip", "%s is no address of one other machine (it is unspecified, loopback or multicast), so calls of it cannot be redirected", a)
	default:
		r.Address = a
	}
	if len(m.ToPorts) == 0 {
		r.reject(field+".toPorts", "it has no port; write at least one, as {port: \"80\", protocol: TCP}")
	}
	r.Ports = r.ports(m.ToPorts, field+".toPorts")
}

func (r *reader) service(m *v2.RedirectService) {
	const field = frontendField + ".serviceMatcher"
	if m.Name == "" {
		r.reject(field+".serviceName", "it is empty; write the name of the Service")
	}
	if m.Namespace != r.Namespace {
		r.reject(field+".namespace", "%q is not the namespace of the policy, %q: a policy redirects Services of its own namespace; write it there", m.Namespace, r.Namespace)
	}
	r.Service = m.Name
	r.Ports = r.ports(m.ToPorts, field+".toPorts")
}

func (r *reader) backend(b *v2.RedirectBackend) {
	requirements := []identity.Requirement{}
	for key, value := range b.LocalEndpointSelector.MatchLabels {
		requirements = append(requirements, identity.Requirement{Key: r.label(key, ".matchLabels"), Operator: identity.In, Values: []string{value}})
	}
	for i, e := range b.LocalEndpointSelector.MatchExpressions {
		at := fmt.Sprintf(".matchExpressions[%d]", i)
		operator := label.Operator(e.Operator, e.Values, backendField+".localEndpointSelector"+at, r.reject)
		requirements = append(requirements, identity.Requirement{Key: r.label(e.Key, at+".key"), Operator: operator, Values: slices.Clone(e.Values)})
	}
	r.Selector = identity.NewSelector(requirements...)
	if len(b.ToPorts) == 0 {
		r.reject(backendField+".toPorts", "it has no port; write at least one, as {port: \"80\", protocol: TCP}")
	}
	r.Backends = r.ports(b.ToPorts, backendField+".toPorts")
}

// label is the key of a label of pods, with its source.
func (r *reader) label(key, at string) string {
	_, name, has := strings.Cut(key, ":")
	if !has {
		name = key
	}
	label.Key(name, backendField+".localEndpointSelector"+at, r.reject)
	return identity.SourceK8s + ":" + name
}

var protocols = map[string]uint8{"TCP": 6, "UDP": 17}

func (r *reader) ports(list []v2.RedirectPort, field string) (out []redirect.Port) {
	names, numbers := map[string]bool{}, map[redirect.Port]bool{}
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		port := redirect.Port{Name: strings.ToLower(p.Name)}
		n, err := strconv.ParseUint(p.Port, 10, 16)
		if err != nil || n == 0 {
			r.reject(at+".port", "%q is no number from 1 to 65535", p.Port)
		}
		port.Port = uint16(n)
		var known bool
		if port.Protocol, known = protocols[strings.ToUpper(p.Protocol)]; !known {
			r.reject(at+".protocol", "%q is not one of TCP, UDP", p.Protocol)
		}
		unnamed := redirect.Port{Port: port.Port, Protocol: port.Protocol}
		switch {
		case port.Name == "" && len(list) > 1:
			r.reject(at+".name", "it has none: several ports must have names, by which those of redirectFrontend and redirectBackend are joined")
		case names[port.Name] && port.Name != "":
			r.reject(at+".name", "another port of this list has the name %s, too", port.Name)
		case numbers[unnamed] && err == nil:
			r.reject(at, "port %s/%s is in this list twice", p.Port, p.Protocol)
		}
		names[port.Name], numbers[unnamed] = true, true
		out = append(out, port)
	}
	return out
}

// join rejects what leads nowhere: the one port of the frontend has none of the pods, or all have none.
func (r *reader) join() {
	if len(r.Rejects) > 0 || len(r.Ports) == 0 {
		return
	}
	joined := false
	for _, p := range r.Ports {
		_, ok := r.To(p)
		joined = joined || ok
	}
	if !joined {
		r.reject(r.matcher()+".toPorts", "no port of redirectBackend.toPorts fits: it must have the same protocol, and the same name if there are several")
	}
}

// Gaps says why a policy is not in force as it stands.
func Gaps(p redirect.Policy, w gap.World) (out []gap.Gap) {
	r := reader{p}
	if len(p.Rejects) > 0 {
		return p.Rejects
	}
	if !w.Config.Redirects {
		out = append(out, gap.Gap{Reason: gap.NotEnabled, Field: "spec", Message: "nothing is redirected while setting enable-local-redirect-policy is not true"})
	}
	if p.Address.IsValid() && !w.Config.MayRedirect(p.Address) {
		out = append(out, gap.Gap{
			Reason: gap.NotEnabled, Field: frontendField + ".addressMatcher.ip",
			Message: fmt.Sprintf("%s is in none of the ranges of setting lrp-address-matcher-cidrs, so nothing is redirected", p.Address),
		})
	}
	out = append(out, named(p, w)...)
	for i, port := range p.Ports {
		if _, ok := p.To(port); !ok {
			out = append(out, gap.Gap{
				Reason: gap.NotFound, Field: fmt.Sprintf("%s.toPorts[%d]", r.matcher(), i),
				Message: fmt.Sprintf("no port of redirectBackend.toPorts has the name %q and this protocol, so calls of this port are not redirected", port.Name),
			})
		}
	}
	if w.Others == nil {
		return out
	}
	for _, o := range w.Others() {
		if other, ok := o.(*v2.CiliumLocalRedirectPolicy); ok {
			out = append(out, taken(p, Policy(other), r.matcher())...)
		}
	}
	return out
}

// named says what is wrong with what a policy names in this World: its Service, its address, its pods.
func named(p redirect.Policy, w gap.World) (out []gap.Gap) {
	say := func(reason gap.Reason, field, message string, args ...any) {
		out = append(out, gap.Gap{Reason: reason, Field: field, Message: fmt.Sprintf(message, args...)})
	}
	const name = frontendField + ".serviceMatcher.serviceName"
	switch {
	case p.Service != "" && w.Service != nil && !w.Service(p.Namespace, p.Service):
		say(gap.NotFound, name, "there is no service %s/%s, so nothing is redirected; create it, or correct the name", p.Namespace, p.Service)
	case p.Service != "" && w.Headless != nil && w.Headless(p.Namespace, p.Service):
		say(gap.NotFound, name, "service %s/%s has no cluster address (it is headless, or a name of DNS alone), so nothing is redirected: who calls it calls its endpoints; name a service with a cluster address",
			p.Namespace, p.Service)
	}
	if p.Address.IsValid() && w.PodCIDRs != nil {
		prefixes := w.PodCIDRs()
		if i := slices.IndexFunc(prefixes, func(c netip.Prefix) bool { return c.Contains(p.Address) }); i >= 0 {
			say(gap.Superseded, frontendField+".addressMatcher.ip",
				"%s is of the addresses of pods (%s): packets go to the pod that has it, whatever this says, and only calls at sockets are redirected; name an address that no pod gets, or a service of those pods", p.Address, prefixes[i])
		}
	}
	if p.Skips && w.OnHost != nil {
		if pod := w.OnHost(p.Namespace, p.Selector); pod != "" {
			say(gap.NotImplemented, "spec.skipRedirectFromBackend",
				"it does not hold for pod %s, which is on the host network: its calls come from its node's address, as those of others there, so they are redirected, also to itself; give the pod a network of its own", pod)
		}
	}
	return out
}

// taken says what of a policy's frontends another one has.
func taken(p, other redirect.Policy, matcher string) (out []gap.Gap) {
	if first, _ := redirect.First([]redirect.Policy{p, other}); len(other.Rejects) > 0 || first.Namespace == p.Namespace && first.Name == p.Name {
		return nil
	}
	say := func(field, what string) {
		out = append(out, gap.Gap{
			Reason: gap.Superseded, Field: field,
			Message: fmt.Sprintf("%s is redirected by %s %s/%s, which is older or the first by name; delete one of the two", what, redirect.Kind, other.Namespace, other.Name),
		})
	}
	frontends := other.Frontends()
	for i, port := range p.Ports {
		at := fmt.Sprintf("%s.toPorts[%d]", matcher, i)
		what := fmt.Sprintf("port %d", port.Port)
		if p.Address.IsValid() && slices.Contains(frontends, redirect.FrontendKey(p.Address, port.Port, port.Protocol)) {
			say(at, what)
		} else if _, has := other.To(port); p.Service != "" && p.Service == other.Service && p.Namespace == other.Namespace && has {
			say(at, what)
		}
	}
	if p.Service != "" && len(p.Ports) == 0 && p.Service == other.Service && p.Namespace == other.Namespace {
		say(matcher, "some port of this service")
	}
	return out
}
