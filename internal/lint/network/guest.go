package network

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/table"
	machines "weftnet.io/weftnet/internal/table/machine"
)

// guests looks at machines beside what else the files have of them: their instances, pods and the Services that choose these.
func (c *checker) guests(objects []*manifest.Object) {
	instances := map[string]machines.Instance{}
	pods := map[string][]*corev1.Pod{}
	for _, o := range objects {
		switch o.Kind {
		case "VirtualMachineInstance":
			var i kubevirt.VirtualMachineInstance
			if o.Decode(&i) == nil {
				i.Namespace = namespace(o)
				instances[namespace(o)+"/"+o.Name], _ = kubevirt.InstanceRow(&i)
			}
		case "Pod":
			var p corev1.Pod
			if o.Decode(&p) != nil {
				continue
			}
			p.Namespace = namespace(o)
			if owner := attachment.Owner(&p); owner.Kind == machines.Kind {
				pods[owner.Namespace+"/"+owner.Name] = append(pods[owner.Namespace+"/"+owner.Name], &p)
			}
		}
	}
	for _, o := range objects {
		var vm kubevirt.VirtualMachine
		if o.Kind != machines.Kind || o.Decode(&vm) != nil {
			continue
		}
		vm.Namespace = namespace(o)
		row, _ := kubevirt.Row(&vm)
		g := machines.Guest{Namespace: vm.Namespace, Name: vm.Name, Machine: row, Instance: instances[vm.Namespace+"/"+vm.Name]}
		c.agrees(o, g)
		for _, p := range pods[g.Title()] {
			if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
				c.labels(o, g, p, objects)
			}
		}
	}
}

// agrees finds what a machine says twice of one NIC, and not alike.
func (c *checker) agrees(o *manifest.Object, g machines.Guest) {
	var requests []attachment.Request
	for _, n := range g.Machine.NICs {
		if in, name, further := strings.Cut(n.Definition, "/"); further {
			requests = append(requests, attachment.Request{Namespace: in, Name: name, Interface: kubevirt.Interface(n.Name)})
		}
	}
	for _, text := range []string{g.Machine.Own, g.Machine.Template} {
		if _, gaps := attachment.Requests(text, g.Namespace); len(gaps) > 0 {
			return // said where it is read
		}
	}
	_, gaps := kubevirt.Ask(g, requests)
	for _, x := range gaps {
		at := "metadata.annotations." + cncfv1.NetworksAnnotation
		if g.Machine.Own == "" {
			at = templates[1] + at
		}
		does := strings.TrimPrefix(x.String(), machines.Kind+" "+g.Title()+" ")
		c.add(o, lint.Error, "conflict", at, does+"; so its pod does not start", "", "")
	}
}

// labels finds labels of a machine that its pod has not, which policies go by and nothing else does.
func (c *checker) labels(o *manifest.Object, g machines.Guest, p *corev1.Pod, objects []*manifest.Object) {
	const field = "spec.template.metadata.labels"
	now := g.Labels(table.Pod{Labels: p.Labels})
	if maps.Equal(now, p.Labels) {
		return
	}
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if was, has := p.Labels[key]; !has || was != now[key] {
			differ = append(differ, key+"="+now[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
		if _, has := now[key]; !has {
			differ = append(differ, "no "+key)
		}
	}
	what := strings.Join(differ, ", ")
	said := false
	for _, s := range objects {
		var service corev1.Service
		if s.APIVersion != "v1" || s.Kind != "Service" || namespace(s) != g.Namespace || s.Decode(&service) != nil || len(service.Spec.Selector) == 0 {
			continue
		}
		chosen, meant := chooses(service.Spec.Selector, p.Labels), chooses(service.Spec.Selector, now)
		if chosen == meant {
			continue
		}
		does := fmt.Sprintf("Service %s does not choose its pod %s, which has not (%s) yet", s.Name, p.Name, what)
		if chosen {
			does = fmt.Sprintf("Service %s still chooses its pod %s, which has not (%s) yet", s.Name, p.Name, what)
		}
		said = true
		c.add(o, lint.Warning, "labels", field, does+": policies go by these at once, Services by the pod's own labels", "", "start the machine anew: virtctl restart "+g.Name)
	}
	if !said {
		c.add(o, lint.Hint, "labels", field, fmt.Sprintf("its pod %s has not (%s) yet: policies go by these at once, all else by the pod's own labels until the machine is started anew", p.Name, what), "", "")
	}
}

// chooses tells whether a Service's selector chooses a pod with these labels.
func chooses(selector, labels map[string]string) bool {
	for key, value := range selector {
		if have, has := labels[key]; !has || have != value {
			return false
		}
	}
	return true
}
