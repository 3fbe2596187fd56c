// Package kubevirt reads what KubeVirt's objects say of networks, and whose labels count.
//
// # The world it models
//
// A VirtualMachine's template names networks and, by the same names, interfaces of the guest. The two together are the machine's NICs:
//
//	networks:   [{name: default, pod: {}}, {name: storage, multus: {networkName: storage-net}}]
//	interfaces: [{name: default, masquerade: {}}, {name: storage, bridge: {}, macAddress: "02:00:00:00:00:01"}]
//	->  default; storage shop/storage-net 02:00:00:00:00:01
//
// # Invariants
//
//   - A network without an interface is none of the guest's: KubeVirt refuses it.
//   - Functions are pure.
//
// # Example
//
//	row, _ := kubevirt.Row(vm)
package kubevirt

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	kubevirtv1 "weftnet.io/weftnet/api/kubevirt/v1"
	"weftnet.io/weftnet/internal/table/machine"
)

// What the registry of kinds asks of the objects that this package reads.
type (
	// VirtualMachine is a machine, on or off.
	VirtualMachine = kubevirtv1.VirtualMachine
	// VirtualMachineInstance is one that is on.
	VirtualMachineInstance = kubevirtv1.VirtualMachineInstance
	// Machine is a row of Machines.
	Machine = machine.Machine
	// Instance is a row of Instances.
	Instance = machine.Instance
)

// Resources of these, their version, and what teaches a scheme both.
const (
	MachineResource  = kubevirtv1.MachineResource
	InstanceResource = kubevirtv1.InstanceResource
)

var (
	Version, Install = kubevirtv1.SchemeGroupVersion, kubevirtv1.AddToScheme

	// Machines and Instances are the tables of both.
	Machines, Instances = machine.Machines, machine.Instances

	// Name is the name of the machine in a pod.
	Name = machine.Name
)

// Row reads a VirtualMachine.
func Row(o *kubevirtv1.VirtualMachine) (machine.Machine, bool) {
	row := machine.Machine{Namespace: o.Namespace, Name: o.Name, UID: string(o.UID), Own: o.Annotations[cncfv1.NetworksAnnotation]}
	if t := o.Spec.Template; t != nil {
		row.Labels, row.Template, row.NICs = t.Labels, t.Annotations[cncfv1.NetworksAnnotation], nics(o.Namespace, t.Spec)
	}
	return row, true
}

// InstanceRow reads a VirtualMachineInstance.
func InstanceRow(o *kubevirtv1.VirtualMachineInstance) (machine.Instance, bool) {
	row := machine.Instance{
		Namespace: o.Namespace, Name: o.Name, UID: string(o.UID), Labels: o.Labels,
		Asked: o.Annotations[cncfv1.NetworksAnnotation], NICs: nics(o.Namespace, o.Spec),
	}
	if by := metav1.GetControllerOf(o); by != nil && by.Kind == machine.Kind {
		row.Machine = by.Name
	}
	return row, true
}

// nics are those of a guest, in the order of its networks.
func nics(namespace string, spec kubevirtv1.Instance) (list []machine.NIC) {
	devices := map[string]kubevirtv1.Interface{}
	for _, i := range spec.Domain.Devices.Interfaces {
		devices[i.Name] = i
	}
	for _, n := range spec.Networks {
		device, there := devices[n.Name]
		if !there {
			continue
		}
		nic := machine.NIC{Name: n.Name, MAC: device.MacAddress}
		if n.Multus != nil && n.Multus.Default {
			continue // in place of the cluster's: its pod's first NIC
		}
		if n.Multus != nil {
			if nic.Definition = n.Multus.NetworkName; !strings.Contains(nic.Definition, "/") {
				nic.Definition = namespace + "/" + nic.Definition
			}
		}
		list = append(list, nic)
	}
	return list
}
