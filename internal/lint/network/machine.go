package network

import (
	"fmt"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/lint"
)

// machine is what a virtual machine says of its NICs (kubevirt.io/v1: spec.networks, spec.domain.devices.interfaces).
type machine struct {
	Networks []source `json:"networks"`
	Domain   struct {
		Devices struct {
			Interfaces []struct {
				Name  string    `json:"name"`
				SRIOV *struct{} `json:"sriov"`
			} `json:"interfaces"`
		} `json:"devices"`
	} `json:"domain"`

	field string // of the spec
}

// source is an element of spec.networks.
type source struct {
	Name   string `json:"name"`
	Multus *struct {
		NetworkName string `json:"networkName"`
	} `json:"multus"`
}

// definition is the namespace and the name of the definition that it is made by; empty: it is the pod network.
func (s source) definition(w *workload) (in, name string) {
	if s.Multus == nil {
		return "", ""
	}
	in, name, both := strings.Cut(s.Multus.NetworkName, "/")
	if !both {
		return namespace(w.in), in
	}
	return in, name
}

// machine reads the networks of a virtual machine, beside its annotations.
func (c *checker) machine(w *workload) {
	var vm struct {
		Spec struct {
			Template struct {
				Spec machine `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
	var vmi struct {
		Spec machine `json:"spec"`
	}
	var err error
	if w.in.Kind == "VirtualMachine" {
		err = w.in.Decode(&vm)
		w.vm = &vm.Spec.Template.Spec
		w.vm.field = "spec.template.spec"
	} else {
		err = w.in.Decode(&vmi)
		w.vm = &vmi.Spec
		w.vm.field = "spec"
	}
	if err != nil {
		w.vm = nil
		return
	}
	for i, n := range w.vm.Networks {
		in, name := n.definition(w)
		if name == "" {
			continue
		}
		w.asks = append(w.asks, ask{attachment.Request{Namespace: in, Name: name}, fmt.Sprintf("%s.networks[%d].multus.networkName", w.vm.field, i)})
	}
}

// interfaces looks at networks and interfaces of a virtual machine, which belong together by name, and at what its annotation asks for beside.
func (c *checker) interfaces(w *workload) {
	if w.vm == nil {
		return
	}
	var names []string
	for _, n := range w.vm.Domain.Devices.Interfaces {
		names = append(names, n.Name)
	}
	for i, n := range w.vm.Networks {
		field := fmt.Sprintf("%s.networks[%d]", w.vm.field, i)
		at := slices.Index(names, n.Name)
		if at < 0 {
			meant := attachment.Nearest(n.Name, names)
			c.add(w.in, lint.Error, "interface", field+".name", fmt.Sprintf("no interface has the name %s, so KubeVirt refuses the machine", n.Name), meant, "")
			continue
		}
		c.binding(w, i, at)
	}
	for i, name := range names {
		if !slices.ContainsFunc(w.vm.Networks, func(n source) bool { return n.Name == name }) {
			c.add(w.in, lint.Error, "interface", fmt.Sprintf("%s.domain.devices.interfaces[%d].name", w.vm.field, i), fmt.Sprintf("no network has the name %s, so KubeVirt refuses the machine", name), "", "")
		}
	}
	c.beside(w)
}

// binding holds how an interface is bound against what its network is.
func (c *checker) binding(w *workload, network, device int) {
	in, name := w.vm.Networks[network].definition(w)
	d := c.definitions[in+"/"+name]
	if d == nil || d.Main() == nil {
		return
	}
	field := fmt.Sprintf("%s.domain.devices.interfaces[%d]", w.vm.field, device)
	bound := w.vm.Domain.Devices.Interfaces[device].SRIOV != nil
	switch is := d.Main().Type == "sriov"; {
	case bound && !is:
		c.add(w.in, lint.Error, "binding", field, fmt.Sprintf("it is bound as sriov, and network %s makes a NIC of type %s, which has no device to hand through", d.title(), d.Main().Type), "", "bridge: {}")
	case !bound && is:
		c.add(w.in, lint.Error, "binding", field, fmt.Sprintf("network %s hands a device through, and the interface is not bound as sriov", d.title()), "", "sriov: {}")
	}
}

// beside finds networks that the annotation asks for and spec.networks does not: KubeVirt makes the launcher's annotation of the latter.
func (c *checker) beside(w *workload) {
	var there []string
	for _, a := range w.asks {
		if strings.HasPrefix(a.at, w.vm.field+".networks") {
			there = append(there, a.title())
		}
	}
	for _, a := range w.asks {
		if !strings.HasPrefix(a.at, w.vm.field+".networks") && !slices.Contains(there, a.title()) {
			c.add(w.in, lint.Warning, "annotation", a.at, fmt.Sprintf("%s is in the annotation alone, so the machine has no NIC there: KubeVirt attaches what %s.networks names", a.title(), w.vm.field), "", "")
		}
	}
}
