package manifest

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// guests are the virtual machines among some objects, with their pods, by namespace/name.
type guests struct {
	machines  map[string]machine.Machine
	instances map[string]machine.Instance
	pods      map[*Object]string // the machine in each
	launched  map[string]bool    // machines that have a pod
}

func guestsOf(objects []*Object) guests {
	g := guests{map[string]machine.Machine{}, map[string]machine.Instance{}, map[*Object]string{}, map[string]bool{}}
	for _, o := range objects {
		name := cmp.Or(o.Namespace, metav1.NamespaceDefault) + "/" + o.Name
		var vm kubevirt.VirtualMachine
		var vmi kubevirt.VirtualMachineInstance
		var pod corev1.Pod
		switch {
		case o.Kind == "VirtualMachine" && o.Decode(&vm) == nil:
			g.machines[name], _ = kubevirt.Row(&vm)
		case o.Kind == "VirtualMachineInstance" && o.Decode(&vmi) == nil:
			g.instances[name], _ = kubevirt.InstanceRow(&vmi)
		case o.Kind == "Pod" && o.Decode(&pod) == nil:
			pod.Namespace = cmp.Or(o.Namespace, metav1.NamespaceDefault)
			if owner := attachment.Owner(&pod); owner.Kind == machine.Kind {
				g.pods[o], g.launched[owner.Namespace+"/"+owner.Name] = owner.Namespace+"/"+owner.Name, true
			}
		}
	}
	return g
}

// shown tells whether an object is one more view of a machine that another one, or a pod, stands for.
func (g guests) shown(o *Object) bool {
	name := cmp.Or(o.Namespace, metav1.NamespaceDefault) + "/" + o.Name
	_, owned := g.machines[name]
	return (o.Kind == "VirtualMachine" || o.Kind == "VirtualMachineInstance") && g.launched[name] || o.Kind == "VirtualMachineInstance" && owned
}

// labels are those of a pod as policies see them.
func (g guests) labels(o *Object, own map[string]string) map[string]string {
	name, runs := g.pods[o]
	if !runs {
		return own
	}
	i, made := g.instances[name]
	m := g.machines[name]
	if made && i.Machine == "" {
		m = machine.Machine{}
	}
	return machine.Guest{Machine: m, Instance: i}.Labels(table.Pod{Labels: own})
}
