package selection

import (
	"fmt"
	"io"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"k8s.io/apimachinery/pkg/util/validation"
)

// launcher begins the names of the pods in which KubeVirt runs virtual machines: virt-launcher-NAME-x7k2p. So the beginning of a
// machine's name is that of a pod's, and any server can be asked for it.
const launcher = "virt-launcher-"

// addMachines lets names of pods stand for virtual machines, too.
func addMachines(f *flowpb.FlowFilter) {
	for _, list := range []*[]string{&f.SourcePod, &f.DestinationPod} {
		for _, name := range *list {
			namespace, prefix, has := strings.Cut(name, "/")
			if !has {
				namespace, prefix = "", name
			}
			if prefix == "" || strings.HasPrefix(launcher, prefix) || strings.HasPrefix(prefix, launcher) {
				continue
			}
			if has {
				namespace += "/"
			}
			*list = append(*list, namespace+launcher+prefix)
		}
	}
}

// Machines notes, once each, which virtual machines are shown for a name that is said to be a pod's.
type Machines struct {
	out   io.Writer
	names []string // as they were said, without namespaces
	noted map[string]bool
}

func NewMachines(out io.Writer, filters []*flowpb.FlowFilter) *Machines {
	m := &Machines{out: out, noted: map[string]bool{}}
	for _, f := range filters {
		for _, list := range [][]string{f.GetSourcePod(), f.GetDestinationPod()} {
			said := map[string]bool{}
			for _, name := range list {
				said[name[strings.IndexByte(name, '/')+1:]] = true
			}
			for name := range said {
				if prefix, of := strings.CutPrefix(name, launcher); of && said[prefix] {
					m.names = append(m.names, prefix)
				}
			}
		}
	}
	return m
}

func (m *Machines) Note(r *observerpb.GetFlowsResponse) {
	for _, e := range []*flowpb.Endpoint{r.GetFlow().GetSource(), r.GetFlow().GetDestination()} {
		rest, launched := strings.CutPrefix(e.GetPodName(), launcher)
		end := strings.LastIndexByte(rest, '-')
		if !launched || end < 0 {
			continue
		}
		for _, name := range m.names {
			machine := e.GetNamespace() + "/" + rest[:end]
			if !strings.HasPrefix(rest, name) || m.noted[machine] {
				continue
			}
			m.noted[machine] = true
			fmt.Fprintf(m.out, "%s is virtual machine %s, in pod %s\n", name, machine, e.GetPodName())
		}
	}
}

// machines are expressions (CEL) of which one must be true of an end; nil: none need be.
type machines struct{ source, destination []string }

// narrow lets a filter match flows of these machines alone. A flow names them in its extension, for which filters have no field.
func (m machines) narrow(f *flowpb.FlowFilter) {
	for _, any := range [][]string{m.source, m.destination} {
		if len(any) == 0 {
			continue
		}
		all := "(" + strings.Join(any, " || ") + ")"
		if f.GetExperimental() == nil {
			f.Experimental = &flowpb.FlowFilter_Experimental{}
		}
		list := f.GetExperimental().GetCelExpression()
		if len(list) == 0 {
			f.Experimental.CelExpression = []string{all}
		}
		for i := range list {
			list[i] = "(" + list[i] + ") && " + all
		}
	}
}

// machineFlags take [NAMESPACE/]NAME of a virtual machine, all of it.
func machineFlags() []filterFlag {
	add := func(e end) func(*pair, string) error {
		return func(p *pair, name string) error {
			for _, part := range strings.Split(name, "/") {
				if len(validation.IsDNS1123Subdomain(part)) > 0 || strings.Count(name, "/") > 1 {
					return fmt.Errorf("%q is no name of a virtual machine: [NAMESPACE/]NAME", name)
				}
			}
			of := func(side string) string {
				if strings.Contains(name, "/") {
					return fmt.Sprintf("_flow.extensions.%s.vm == '%s'", side, name)
				}
				return fmt.Sprintf("_flow.extensions.%s.vm.endsWith('/%s')", side, name)
			}
			from, to := &p.machines[0], &p.machines[1]
			if e != destination {
				from.source = append(from.source, of("source"))
			}
			if e == source {
				to.source = append(to.source, of("source"))
			}
			if e != source {
				to.destination = append(to.destination, of("destination"))
			}
			if e == destination {
				from.destination = append(from.destination, of("destination"))
			}
			return nil
		}
	}
	return []filterFlag{
		{name: "vm", usage: "virtual machine of either end: [NAMESPACE/]NAME; without a namespace of any", set: add(either)},
		{name: "from-vm", usage: "the same of the source only", set: add(source)},
		{name: "to-vm", usage: "the same of the destination only", set: add(destination)},
	}
}
