package redirect

import (
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/gap"
)

func read(t *testing.T, spec string) *v2.CiliumLocalRedirectPolicy {
	t.Helper()
	o := &v2.CiliumLocalRedirectPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "sys", Name: "local"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &o.Spec); err != nil {
		t.Fatal(err)
	}
	return o
}

func on() gap.World {
	return gap.NewWorld(func(key string) (string, bool) { return "true", key == "enable-local-redirect-policy" })
}

func TestWhatMakesNoSenseIsSaidWithItsField(t *testing.T) {
	const (
		pods    = "redirectBackend: {localEndpointSelector: {matchLabels: {app: cache}}, toPorts: [{port: '53', protocol: UDP, name: DNS}, {port: '54', protocol: TCP, name: dns-tcp}]}\n"
		pod     = "redirectBackend: {localEndpointSelector: {}, toPorts: [{port: '53', protocol: UDP}]}\n"
		service = "redirectFrontend: {serviceMatcher: {serviceName: dns, namespace: sys}}\n"
	)
	for _, c := range []struct{ what, spec, want string }{
		{"a service", service + pods, ""},
		{"a service, one port", "redirectFrontend: {serviceMatcher: {serviceName: dns, namespace: sys, toPorts: [{port: '53', protocol: UDP}]}}\n" + pod, ""},
		{"an address", "redirectFrontend: {addressMatcher: {ip: 'fd00:ec2::254', toPorts: [{port: '53', protocol: UDP, name: dns}]}}\n" + pods, ""},
		{"no matcher", "redirectFrontend: {}\n" + pod, "spec.redirectFrontend: it has neither addressMatcher nor serviceMatcher, so nothing is redirected; write one of them"},
		{
			"both matchers", "redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: []}, serviceMatcher: {serviceName: dns, namespace: sys}}\n" + pod,
			"spec.redirectFrontend: it has both addressMatcher and serviceMatcher; keep one, and write another policy for the other",
		},
		{
			"another namespace", "redirectFrontend: {serviceMatcher: {serviceName: dns, namespace: shop}}\n" + pod,
			`spec.redirectFrontend.serviceMatcher.namespace: "shop" is not the namespace of the policy, "sys": a policy redirects Services of its own namespace; write it there`,
		},
		{
			"no address", "redirectFrontend: {addressMatcher: {ip: 1.2.3, toPorts: [{port: '53', protocol: UDP}]}}\n" + pod,
			`spec.redirectFrontend.addressMatcher.ip: "1.2.3" is no IPv4 or IPv6 address such as 169.254.169.254`,
		},
		{
			"loopback", "redirectFrontend: {addressMatcher: {ip: 127.0.0.1, toPorts: [{port: '53', protocol: UDP}]}}\n" + pod,
			"spec.redirectFrontend.addressMatcher.ip: 127.0.0.1 is no address of one other machine (it is unspecified, loopback or multicast), so calls of it cannot be redirected",
		},
		{
			"bad ports", "redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: [{port: '0', protocol: UDP, name: a}, {port: '7', protocol: SCTP}]}}\n" + pod,
			`spec.redirectFrontend.addressMatcher.toPorts[0].port: "0" is no number from 1 to 65535; spec.redirectFrontend.addressMatcher.toPorts[1].protocol: "SCTP" is not one of TCP, UDP; ` +
				`spec.redirectFrontend.addressMatcher.toPorts[1].name: it has none: several ports must have names, by which those of redirectFrontend and redirectBackend are joined`,
		},
		{
			"a name twice", "redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: [{port: '1', protocol: UDP, name: a}, {port: '2', protocol: UDP, name: A}]}}\n" + pod,
			"spec.redirectFrontend.addressMatcher.toPorts[1].name: another port of this list has the name a, too",
		},
		{
			"another protocol", "redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: [{port: '53', protocol: TCP}]}}\n" + pod,
			"spec.redirectFrontend.addressMatcher.toPorts: no port of redirectBackend.toPorts fits: it must have the same protocol, and the same name if there are several",
		},
		{
			"a port in part", "redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: [{port: '53', protocol: UDP, name: dns}, {port: '9', protocol: UDP, name: other}]}}\n" + pods,
			`spec.redirectFrontend.addressMatcher.toPorts[1]: no port of redirectBackend.toPorts has the name "other" and this protocol, so calls of this port are not redirected`,
		},
		{"no ports of pods", service + "redirectBackend: {localEndpointSelector: {}, toPorts: []}\n", `spec.redirectBackend.toPorts: it has no port; write at least one, as {port: "80", protocol: TCP}`},
		{"a selector", service + "redirectBackend: {localEndpointSelector: {matchExpressions: [{key: a, operator: Is}]}, toPorts: [{port: '53', protocol: UDP}]}\n", "spec.redirectBackend.localEndpointSelector.matchExpressions[0]"},
	} {
		p := Policy(read(t, c.spec))
		text := gap.Text(Gaps(p, on()))
		if text != c.want && (c.what != "a selector" || !strings.HasPrefix(text, c.want)) {
			t.Errorf("%s:\nhave %s\nwant %s", c.what, text, c.want)
		}
	}
}

func TestWhatAPolicyDependsOnIsSaid(t *testing.T) {
	const spec = `
redirectFrontend: {serviceMatcher: {serviceName: dns, namespace: sys, toPorts: [{port: '53', protocol: UDP}]}}
redirectBackend: {localEndpointSelector: {}, toPorts: [{port: '53', protocol: UDP}]}`
	o := read(t, spec)
	older := read(t, spec)
	older.Name = "a"
	w := gap.Default()
	w.Service = func(string, string) bool { return false }
	w.Others = func() []any { return []any{older} }
	want := "spec: nothing is redirected while setting enable-local-redirect-policy is not true; " +
		"spec.redirectFrontend.serviceMatcher.serviceName: there is no service sys/dns, so nothing is redirected; create it, or correct the name; " +
		"spec.redirectFrontend.serviceMatcher.toPorts[0]: port 53 is redirected by CiliumLocalRedirectPolicy sys/a, which is older or the first by name; delete one of the two"
	if have := gap.Text(Gaps(Policy(o), w)); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
	w = on()
	w.Others = func() []any { return []any{o} }
	if have := Gaps(Policy(older), w); len(have) > 0 {
		t.Errorf("the first one: %v", have)
	}
}

func TestWhatAPolicyNamesIsLookedAt(t *testing.T) {
	const pods = "\nredirectBackend: {localEndpointSelector: {matchLabels: {app: cache}}, toPorts: [{port: '53', protocol: UDP}]}"
	const service = "redirectFrontend: {serviceMatcher: {serviceName: dns, namespace: sys}}" + pods
	address := func(a string) string {
		return "redirectFrontend: {addressMatcher: {ip: '" + a + "', toPorts: [{port: '53', protocol: UDP}]}}" + pods
	}
	w := on()
	w.Service = func(string, string) bool { return true }
	w.Headless = func(namespace, name string) bool { return namespace+"/"+name == "sys/dns" }
	w.PodCIDRs = func() []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/64")}
	}
	w.OnHost = func(namespace string, of identity.Selector) string {
		if namespace == "sys" && of.Matches(identity.NewLabels(map[string]string{"k8s:app": "cache"})) {
			return "sys/cache-1"
		}
		return ""
	}
	for spec, want := range map[string]string{
		service: "NotFound spec.redirectFrontend.serviceMatcher.serviceName: service sys/dns has no cluster address (it is headless, or a name of DNS alone), so nothing is redirected: " +
			"who calls it calls its endpoints; name a service with a cluster address",
		address("169.254.169.254"): "",
		address("10.244.3.7"): "Superseded spec.redirectFrontend.addressMatcher.ip: 10.244.3.7 is of the addresses of pods (10.244.0.0/16): packets go to the pod that has it, whatever this says, " +
			"and only calls at sockets are redirected; name an address that no pod gets, or a service of those pods",
		address("fd00:244::7"): "Superseded spec.redirectFrontend.addressMatcher.ip: fd00:244::7 is of the addresses of pods (fd00:244::/64): packets go to the pod that has it, whatever this says, " +
			"and only calls at sockets are redirected; name an address that no pod gets, or a service of those pods",
		"skipRedirectFromBackend: true\n" + address("169.254.169.254"): "NotImplemented spec.skipRedirectFromBackend: it does not hold for pod sys/cache-1, which is on the host network: its calls come from its node's address, " +
			"as those of others there, so they are redirected, also to itself; give the pod a network of its own",
		"skipRedirectFromBackend: true\n" + strings.ReplaceAll(address("169.254.169.254"), "app: cache", "app: other"): "",
	} {
		have := ""
		for _, g := range Gaps(Policy(read(t, spec)), w) {
			have += string(g.Reason) + " " + g.String()
		}
		if have != want {
			t.Errorf("%s:\nhave %s\nwant %s", spec, have, want)
		}
	}
}

func TestAnAddressOutsideOfTheRangesIsNotRedirected(t *testing.T) {
	keys := map[string]string{"enable-local-redirect-policy": "true", "lrp-address-matcher-cidrs": "169.254.169.254/32 fd00:ec2::/32"}
	w := gap.NewWorld(func(key string) (string, bool) { v, ok := keys[key]; return v, ok })
	for address, want := range map[string]string{
		"169.254.169.254": "", "fd00:ec2::254": "",
		"1.2.3.4": "spec.redirectFrontend.addressMatcher.ip: 1.2.3.4 is in none of the ranges of setting lrp-address-matcher-cidrs, so nothing is redirected",
	} {
		o := read(t, "redirectFrontend: {addressMatcher: {ip: '"+address+"', toPorts: [{port: '53', protocol: UDP}]}}\n"+
			"redirectBackend: {localEndpointSelector: {}, toPorts: [{port: '53', protocol: UDP}]}")
		if have := gap.Text(Gaps(Policy(o), w)); have != want {
			t.Errorf("%s: have %q, want %q", address, have, want)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("redirectFrontend: {addressMatcher: {ip: 1.2.3.4, toPorts: [{port: '53', protocol: TCP}]}}"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		var o v2.CiliumLocalRedirectPolicy
		if yaml.Unmarshal(text, &o.Spec) == nil {
			Gaps(Policy(&o), gap.Default())
		}
	})
}
