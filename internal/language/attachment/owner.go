package attachment

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/ipam/address"
)

// Labels of the pods that virtual machines run in (KubeVirt).
const (
	machinePod  = "kubevirt.io" // virt-launcher
	machineName = "vm.kubevirt.io/name"
)

// Owner is the workload with a name that outlives the pod: the StatefulSet that the pod has a number in, or the virtual machine that runs in it.
// Zero: there is none.
func Owner(p *corev1.Pod) address.Owner {
	if by := metav1.GetControllerOf(p); by != nil {
		switch by.Kind {
		case "StatefulSet":
			return address.Owner{APIVersion: by.APIVersion, Kind: by.Kind, Namespace: p.Namespace, Name: by.Name, UID: string(by.UID), Pod: p.Name}
		case "VirtualMachineInstance": // of the name of its VirtualMachine, which is there before and after it
			return machine(p.Namespace, by.Name)
		}
	}
	if name := p.Labels[machineName]; name != "" && p.Labels[machinePod] == "virt-launcher" {
		return machine(p.Namespace, name)
	}
	return address.Owner{}
}

func machine(namespace, name string) address.Owner {
	return address.Owner{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Namespace: namespace, Name: name}
}
