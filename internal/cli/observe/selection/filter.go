package selection

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"

	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/identity"
)

// Flags turn flags, in the order in which they are said, into FlowFilters.
type Flags struct {
	include, exclude pair
	negate           bool // --not was said and waits for its filter
}

// pair is a filter for flows from, and one for flows to, what the flags for either side name. A flow matches if
// either does; without such flags the two are equal.
type pair struct {
	from, to   flowpb.FlowFilter
	said       []string
	namespaces [3][]string // either, from, to
	denied     bool        // verdict DENIED was said
	raw        []*flowpb.FlowFilter
	machines   [2]machines // for flows from, and for flows to
}

// end says which end of a flow a flag is about.
type end int

// Values of end.
const (
	either end = iota
	source
	destination
)

// filterFlag is one flag.
type filterFlag struct {
	name, short, usage string
	bare               string // value of the flag without one; empty: it needs one
	values             []string
	set                func(p *pair, value string) error
}

func (ff *Flags) Register(c *cobra.Command) {
	c.Flags().Var(&filterValue{filters: ff, not: true}, "not", "negate the next filter")
	c.Flags().Lookup("not").NoOptDefVal = "true"
	for _, flag := range allFlags() {
		c.Flags().VarP(&filterValue{filters: ff, flag: flag}, flag.name, flag.short, flag.usage)
		c.Flags().Lookup(flag.name).NoOptDefVal = flag.bare
		if flag.values != nil {
			_ = c.RegisterFlagCompletionFunc(flag.name, cobra.FixedCompletions(flag.values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
}

// filterValue is a flag as pflag wants it.
type filterValue struct {
	filters *Flags
	flag    filterFlag
	not     bool
}

var _ pflag.Value = (*filterValue)(nil)

func (v *filterValue) String() string { return "" }

func (v *filterValue) Type() string {
	if v.not || v.flag.bare != "" {
		return "bool" // stands alone
	}
	return strings.ToUpper(v.flag.name[strings.LastIndexByte(v.flag.name, '-')+1:])
}

func (v *filterValue) Set(value string) error {
	if v.Type() == "bool" && value != "true" {
		return fmt.Errorf("takes no value, and %q not at all", value)
	}
	if v.not {
		if v.filters.negate {
			return errors.New("--not negates the filter after it, and --not is none")
		}
		v.filters.negate = true
		return nil
	}
	p := &v.filters.include
	if v.filters.negate {
		p = &v.filters.exclude
	}
	v.filters.negate = false
	p.said = append(p.said, v.flag.name)
	if err := p.conflict(); err != nil {
		return err
	}
	return v.flag.set(p, value)
}

// conflict refuses flags for either side beside flags for one side of the same thing, as Hubble does: it could mean two things.
func (p *pair) conflict() error {
	for _, about := range []struct{ both, one []string }{
		{[]string{"pod"}, []string{"from-pod", "to-pod"}},
		{[]string{"vm"}, []string{"from-vm", "to-vm"}},
		{[]string{"namespace", "all-namespaces"}, []string{
			"from-pod", "to-pod", "from-namespace", "to-namespace", "from-all-namespaces", "to-all-namespaces", "from-service", "to-service",
		}},
		{[]string{"service"}, []string{"from-service", "to-service"}},
		{[]string{"ip"}, []string{"from-ip", "to-ip"}},
		{[]string{"fqdn"}, []string{"from-fqdn", "to-fqdn"}},
		{[]string{"label"}, []string{"from-label", "to-label"}},
		{[]string{"port"}, []string{"from-port", "to-port"}},
		{[]string{"workload"}, []string{"from-workload", "to-workload"}},
		{[]string{"identity"}, []string{"from-identity", "to-identity"}},
		{[]string{"encrypted"}, []string{"unencrypted"}},
		{[]string{"reply"}, []string{"not-reply"}},
	} {
		both := slices.IndexFunc(p.said, func(name string) bool { return slices.Contains(about.both, name) })
		one := slices.IndexFunc(p.said, func(name string) bool { return slices.Contains(about.one, name) })
		switch {
		case both < 0 || one < 0:
		case about.both[0] == "encrypted" || about.both[0] == "reply":
			return fmt.Errorf("--%s and --%s cannot be combined", p.said[both], p.said[one])
		default:
			return fmt.Errorf("--%s (either side) and --%s (one side) cannot be combined", p.said[both], p.said[one])
		}
	}
	return nil
}

// Add adds filters as JSON, in texts that have one or several: to those of which one must match, and of which none may.
func (ff *Flags) Add(allowed, denied []string) error {
	for _, side := range []struct {
		flag  string
		texts []string
		to    *pair
	}{{"--allowlist", allowed, &ff.include}, {"--denylist", denied, &ff.exclude}} {
		for _, text := range side.texts {
			list, err := filter.Parse(text)
			if err != nil {
				return fmt.Errorf("%s: %w", side.flag, err)
			}
			side.to.raw = append(side.to.raw, list...)
		}
	}
	return nil
}

// Filters gives what the flags have said.
func (ff *Flags) Filters() (include, exclude []*flowpb.FlowFilter, err error) {
	if ff.negate {
		return nil, nil, errors.New("--not has no filter after it")
	}
	if include, err = ff.include.filters(); err != nil {
		return nil, nil, err
	}
	exclude, err = ff.exclude.filters()
	return include, exclude, err
}

func (p *pair) filters() ([]*flowpb.FlowFilter, error) {
	if len(p.said) == 0 {
		return p.raw, nil
	}
	for _, side := range []struct {
		f    *flowpb.FlowFilter
		from []string
		to   []string
	}{{&p.from, slices.Concat(p.namespaces[either], p.namespaces[source]), p.namespaces[destination]}, {&p.to, p.namespaces[source], slices.Concat(p.namespaces[either], p.namespaces[destination])}} {
		if err := qualify(side.from, &side.f.SourcePod, &side.f.SourceService); err != nil {
			return nil, err
		}
		if err := qualify(side.to, &side.f.DestinationPod, &side.f.DestinationService); err != nil {
			return nil, err
		}
	}
	p.machines[0].narrow(&p.from)
	p.machines[1].narrow(&p.to)
	list := []*flowpb.FlowFilter{&p.from, &p.to}
	if proto.Equal(&p.from, &p.to) {
		list = list[:1]
	}
	if p.denied {
		var err error
		if list, err = denied(list); err != nil {
			return nil, err
		}
	}
	for _, f := range list {
		addMachines(f)
	}
	return append(list, p.raw...), nil
}

// policyReasons are the reasons of drops that policies asked for.
var policyReasons = []flowpb.DropReason{flowpb.DropReason_POLICY_DENIED, flowpb.DropReason_POLICY_DENY, flowpb.DropReason_AUTH_REQUIRED}

// denied adds verdict DENIED to filters, which Hubble has not: dropped, and for a reason of a policy. Beside other verdicts it is one
// of them.
func denied(list []*flowpb.FlowFilter) (out []*flowpb.FlowFilter, err error) {
	for _, f := range list {
		if len(f.GetVerdict()) > 0 {
			out = append(out, proto.CloneOf(f))
		}
		f.Verdict = []flowpb.Verdict{flowpb.Verdict_DROPPED}
		if asked := f.GetDropReasonDesc(); len(asked) > 0 {
			f.DropReasonDesc = slices.DeleteFunc(slices.Clone(asked), func(r flowpb.DropReason) bool { return !slices.Contains(policyReasons, r) })
			if len(f.GetDropReasonDesc()) == 0 {
				return nil, fmt.Errorf("--verdict DENIED is what policies dropped, for reason %s: it cannot be combined with --drop-reason-desc %s", reasonNames(policyReasons), reasonNames(asked))
			}
		} else {
			f.DropReasonDesc = slices.Clone(policyReasons)
		}
		out = append(out, f)
	}
	return out, nil
}

func reasonNames(list []flowpb.DropReason) string {
	var names []string
	for _, r := range list {
		names = append(names, r.String())
	}
	return strings.Join(names, ", ")
}

// qualify puts names of pods and services into namespaces; without names, all pods of the namespaces are meant.
func qualify(namespaces []string, pods, services *[]string) error {
	if len(namespaces) == 0 {
		return nil
	}
	if len(*pods) == 0 && len(*services) == 0 {
		*pods = []string{""}
	}
	for _, list := range []*[]string{pods, services} {
		var out []string
		for _, name := range *list {
			namespace, _, has := strings.Cut(name, "/")
			if has {
				if namespace != "" && !slices.Contains(namespaces, namespace) && !slices.Contains(namespaces, "") {
					return fmt.Errorf("%s is not in namespace %s", name, strings.Join(namespaces, " or "))
				}
				out = append(out, name)
				continue
			}
			for _, namespace := range namespaces {
				out = append(out, namespace+"/"+name)
			}
		}
		*list = out
	}
	return nil
}

// field is a list in a filter: at one end, at the other.
type field[T any] func(*flowpb.FlowFilter) *[]T

// asIs reads a value that is text.
func asIs(text string) (string, error) { return text, nil }

// sided makes the three flags of something that either end of a flow has.
func sided[T any](name, short, usage string, from, to field[T], parse func(string) (T, error)) []filterFlag {
	add := func(e end) func(*pair, string) error {
		return func(p *pair, text string) error {
			value, err := parse(text)
			if err != nil {
				return err
			}
			push := func(list *[]T) { *list = append(*list, value) }
			switch e {
			case either:
				push(from(&p.from))
				push(to(&p.to))
			case source:
				push(from(&p.from))
				push(from(&p.to))
			default:
				push(to(&p.from))
				push(to(&p.to))
			}
			return nil
		}
	}
	return []filterFlag{
		{name: name, short: short, usage: usage, set: add(either)},
		{name: "from-" + name, usage: "the same of the source only", set: add(source)},
		{name: "to-" + name, usage: "the same of the destination only", set: add(destination)},
	}
}

// both makes a flag that is about a flow as a whole.
func both(name, short, usage string, values []string, set func(*flowpb.FlowFilter, string) error) filterFlag {
	return filterFlag{name: name, short: short, usage: usage, values: values, set: func(p *pair, value string) error {
		if err := set(&p.from, value); err != nil {
			return err
		}
		return set(&p.to, value)
	}}
}

func namespaceFlags() []filterFlag {
	var out []filterFlag
	for _, f := range []struct {
		e                  end
		name, short, usage string
		bare               string
	}{
		{either, "namespace", "n", "namespace of either end", ""},
		{source, "from-namespace", "", "the same of the source only", ""},
		{destination, "to-namespace", "", "the same of the destination only", ""},
		{either, "all-namespaces", "A", "pods and services of any namespace", "true"},
		{source, "from-all-namespaces", "", "the same of the source only", "true"},
		{destination, "to-all-namespaces", "", "the same of the destination only", "true"},
	} {
		out = append(out, filterFlag{name: f.name, short: f.short, usage: f.usage, bare: f.bare, set: func(p *pair, value string) error {
			if f.bare != "" {
				value = ""
			}
			p.namespaces[f.e] = append(p.namespaces[f.e], value)
			return nil
		}})
	}
	return out
}

// workloadFlags take [KIND/]NAME; KIND/ alone stands for all of a kind.
func workloadFlags() []filterFlag {
	return sided("workload", "", "workload of either end: [KIND/]NAME, such as Deployment/web",
		func(f *flowpb.FlowFilter) *[]*flowpb.Workload { return &f.SourceWorkload },
		func(f *flowpb.FlowFilter) *[]*flowpb.Workload { return &f.DestinationWorkload },
		func(text string) (*flowpb.Workload, error) {
			kind, name, has := strings.Cut(text, "/")
			if !has {
				kind, name = "", text
			}
			return &flowpb.Workload{Kind: kind, Name: name}, nil
		})
}

func identityFlags() []filterFlag {
	list := sided("identity", "", "identity of either end: a number, or host, world, remote-node, …",
		func(f *flowpb.FlowFilter) *[]uint32 { return &f.SourceIdentity },
		func(f *flowpb.FlowFilter) *[]uint32 { return &f.DestinationIdentity }, parseIdentity)
	for i := range list {
		list[i].values = identityNames()
	}
	return list
}

func identityNames() []string {
	var names []string
	for _, n := range identity.ReservedNumbers() {
		names = append(names, n.Name())
	}
	return names
}

func parseIdentity(text string) (uint32, error) {
	for _, n := range identity.ReservedNumbers() {
		if n.Name() == text {
			return uint32(n), nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor one of %s", text, strings.Join(identityNames(), ", "))
	}
	return uint32(n), nil
}

func allFlags() []filterFlag {
	list := sided("pod", "", "pod of either end: [NAMESPACE/]PREFIX",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourcePod }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationPod }, nonEmpty)
	list = append(list, machineFlags()...)
	list = append(list, namespaceFlags()...)
	list = append(list, sided("fqdn", "", "domain name of either end, with * for any characters",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourceFqdn }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationFqdn }, asIs)...)
	list = append(list, sided("cluster", "", "cluster of either end",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourceClusterName }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationClusterName }, asIs)...)
	list = append(list, workloadFlags()...)
	list = append(list, sided("ip", "", "address or prefix of either end",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourceIp }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationIp }, asIs)...)
	list = append(list, sided("port", "", "port of either end",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourcePort }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationPort }, asIs)...)
	list = append(list, sided("label", "l", "label selector of either end, e.g. 'app=web' or 'reserved:world'",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourceLabel }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationLabel }, asIs)...)
	list = append(list, sided("service", "", "service of either end: [NAMESPACE/]PREFIX",
		func(f *flowpb.FlowFilter) *[]string { return &f.SourceService }, func(f *flowpb.FlowFilter) *[]string { return &f.DestinationService }, nonEmpty)...)
	list = append(list, identityFlags()...)
	return append(list, wholeFlags()...)
}

func nonEmpty(value string) (string, error) {
	if value == "" {
		return "", errors.New("must not be empty")
	}
	return value, nil
}
