package selection

import (
	"fmt"
	"io"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
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
