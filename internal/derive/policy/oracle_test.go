package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// obvious computes all sets by looking at every workload, every rule and every identity.
func (b *bed) obvious() string {
	s := b.db.Snapshot()
	options, config := policyinput.Options(s, b.Tables)
	var out strings.Builder
	one := func(n identity.Number, subject engine.Subject, options engine.Options) {
		options.Audit = options.Audit || policyinput.Audited(s, b.Tables, subject.Labels)
		var rules []engine.Rule
		for p := range b.Policies.All(s) {
			rules = append(rules, p.Rules...)
		}
		rules = policyinput.Resolve(s, b.Tables, rules, config)
		c := engine.Compile(rules, subject, options).Named(policyinput.Peers(s, b.Tables), policyinput.Holders(s, b.Tables))
		printSet(&out, table.PolicySet{
			Identity: n, NamedPorts: subject.NamedPorts.String(), Ranges: c.Ranges(),
			Entries: c.Entries(policyinput.Peers(s, b.Tables)),
		})
	}
	for n := range b.Nodes.By(s, table.ByLocal, state.Join(true)) {
		if config.HostFirewall {
			labels := map[string]string{"reserved:host": "", "k8s:" + identity.LabelCluster: config.ClusterName}
			for key, value := range n.Labels {
				labels["k8s:"+key] = value
			}
			own := options
			if own.Enforcement == engine.EnforceAlways {
				own.Enforcement = engine.EnforceByRule
			}
			one(identity.Host, engine.Subject{Labels: identity.NewLabels(labels)}, own)
		}
	}
	seen := map[state.Key]bool{}
	for _, w := range inOrder(b, s) {
		if seen[w.Set] {
			continue
		}
		seen[w.Set] = true
		var named engine.NamedPorts
		for _, p := range w.NamedPorts {
			named = append(named, engine.NamedPort(p))
		}
		one(w.Identity, engine.Subject{Labels: w.Labels, NamedPorts: named}, options)
	}
	return out.String()
}

// inOrder lists the workloads with a set by its key, which is the order of PolicySets.
func inOrder(b *bed, s *state.Snapshot) (list []table.Workload) {
	for set := range b.PolicySets.All(s) {
		for w := range b.Workloads.By(s, table.BySet, b.PolicySets.Key(set)) {
			list = append(list, w)
		}
	}
	for w := range b.Workloads.All(s) { // those that PolicySets lacks
		list = append(list, w)
	}
	return list
}

func printSet(out *strings.Builder, set table.PolicySet) {
	fmt.Fprintf(out, "set %d %q\n", set.Identity, set.NamedPorts)
	for _, e := range set.Entries {
		fmt.Fprintf(out, "  %s %s %d\n", e, e.Match, e.Precedence)
	}
	for _, r := range set.Ranges {
		fmt.Fprintf(out, "  %s\n", r)
	}
}

// world changes an input at random, those that policies refer to included.
func world(rt *rapid.T, b *bed, tx *state.Tx) {
	n := func(name string, high int) int { return rapid.IntRange(0, high).Draw(rt, name) }
	remove := n("gone", 3) == 0
	which := apps[n("which", 2)]
	labels := map[string]string{"app": which}
	address := netip.AddrFrom4([4]byte{192, 0, 2, byte(n("address", 3))})
	switch n("kind", 10) {
	case 6:
		put(tx, b.Namespaces, table.Namespace{Name: "shop", Audit: rapid.Bool().Draw(rt, "audited")}, remove)
	case 0:
		put(tx, b.CIDRGroups, table.CIDRGroup{Name: which, Labels: labels, Prefixes: []netip.Prefix{netip.PrefixFrom(address, 32)}}, remove)
	case 1:
		s := table.Service{Namespace: "shop", Name: which, Labels: labels}
		if rapid.Bool().Draw(rt, "selects") {
			s.Selector = map[string]string{"app": apps[n("selected", 2)]}
		}
		put(tx, b.Services, s, remove)
	case 2:
		at := table.EndpointSlice{Namespace: "shop", Name: which, Service: which, Endpoints: []table.SliceEndpoint{{Addresses: []netip.Addr{address}}}}
		if rapid.Bool().Draw(rt, "api") {
			at.Namespace, at.Service = "default", "kubernetes"
		}
		put(tx, b.EndpointSlices, at, remove)
	case 3:
		local := which == "web"
		put(tx, b.Nodes, table.Node{Name: which, Local: local, Addresses: []netip.Addr{address}, Labels: map[string]string{"app": apps[n("node", 2)]}}, remove)
	case 4:
		put(tx, b.Settings, table.Setting{Name: rapid.SampledFrom([]string{"enable-host-firewall", "enable-node-selector-labels"}).Draw(rt, "setting"), Value: "true"}, remove)
	case 5:
		asks := identity.NewSelector(identity.Requirement{Key: "app", Operator: identity.In, Values: []string{apps[n("asked", 2)]}})
		ref := rapid.SampledFrom([]engine.Reference{
			{Kind: engine.CIDRGroups, Name: which},
			{Kind: engine.CIDRGroups, Labels: asks},
			{Kind: engine.Services, Namespace: "shop", Name: which},
			{Kind: engine.Services, Labels: asks},
			{Kind: engine.Nodes, Labels: asks},
			{Kind: engine.APIServer},
		}).Draw(rt, "reference")
		p := lets(fmt.Sprint("r", n("policy", 1)), engine.Block{Name: ref.String(), Nodes: rapid.Bool().Draw(rt, "nodes"), Of: ref})
		p.Rules[0].Subject = rapid.SampledFrom([]identity.Selector{
			selector(which), identity.NewSelector(), identity.NewSelector(identity.Requirement{Key: "app", Operator: identity.Exists}),
			identity.NewSelector(identity.Requirement{Key: "app", Operator: identity.NotIn, Values: []string{which}}),
		}).Draw(rt, "subject")
		put(tx, b.Policies, p, remove)
	default:
		event(rt, b, tx)
	}
}

func TestSetsAreWhatTheWholeWorldSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed()
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			for range rapid.IntRange(1, 3).Draw(rt, "at once") {
				b.write(func(tx *state.Tx) { world(rt, b, tx) })
			}
			b.runs[0].Step(b.db) // the configuration
			b.runs[1].Step(b.db)
			var have strings.Builder
			for set := range b.PolicySets.All(b.db.Snapshot()) {
				printSet(&have, set)
			}
			if diff := cmp.Diff(b.obvious(), have.String()); diff != "" {
				rt.Fatalf("(-want +have):\n%s", diff)
			}
		}
	})
}
