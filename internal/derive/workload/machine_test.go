package workload

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// launcher is the pod of a machine, as KubeVirt makes it while the machine's template has these labels.
func launcher(name string, labels map[string]string) table.Pod {
	p := table.Pod{
		Namespace: "shop", Name: "virt-launcher-" + name + "-x7k2p", UID: "u-" + name, ServiceAccount: "sa", Owner: machine.Owner("shop", name),
		Labels: map[string]string{"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "uid-" + name, "vm.kubevirt.io/name": name, "vmi.kubevirt.io/id": name, "kubevirt.io/nodeName": "n1"},
	}
	p.Made.Kind, p.Made.Name = "VirtualMachineInstance", name
	for key, value := range labels {
		p.Labels[key] = value
	}
	return p
}

func instance(name string, labels map[string]string) machine.Instance {
	return machine.Instance{Namespace: "shop", Name: name, Machine: name, Labels: labels}
}

func guestNIC(name string) table.Attachment {
	p := launcher(name, nil)
	return table.Attachment{ContainerID: "c-" + name, Interface: "eth0", Namespace: p.Namespace, Pod: p.Name, UID: p.UID, Incarnation: 1, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
}

func (b *bed) shop(tx *state.Tx) {
	b.Namespaces.Put(tx, table.Namespace{Name: "shop", Labels: map[string]string{"team": "blue"}})
}

func labelsOf(b *bed, name string) string {
	b.settle()
	w, _ := b.Workloads.One(b.db.Snapshot(), table.AttachmentKey("c-"+name, "eth0"))
	return short(w.Labels)
}

func TestLabelsOfAMachinesTemplateCountForItsPodAtOnce(t *testing.T) {
	b := newBed()
	was := map[string]string{"app": "db", "old": "yes", "kubevirt.io/size": "small"}
	b.write(func(tx *state.Tx) {
		b.shop(tx)
		b.Attachments.Put(tx, guestNIC("db"))
		b.Pods.Put(tx, launcher("db", was))
	})
	if got := labelsOf(b, "db"); got != "" {
		t.Errorf("before the instance is known: %s", got)
	}
	_, needs := Needs(b.Tables)
	lacks := func() string { return needs(b.db.Snapshot(), guestNIC("db"))[0].Lacks }
	if got := lacks(); !strings.HasPrefix(got, "VirtualMachineInstance shop/db, which says whose pod") {
		t.Errorf("the ADD waits for %q", got)
	}
	b.write(func(tx *state.Tx) {
		carried := map[string]string{"kubevirt.io/nodeName": "n1"} // KubeVirt's own, on the instance too
		for key, value := range was {
			carried[key] = value
		}
		machine.Instances.Put(tx, instance("db", carried))
	})
	if got := labelsOf(b, "db"); got != "" || !strings.HasPrefix(lacks(), "VirtualMachine shop/db, which") {
		t.Errorf("before the machine is known: %s, and the ADD waits for %q", got, lacks())
	}
	for _, c := range []struct {
		template map[string]string
	}{
		{was},
		{map[string]string{"app": "web", "kubevirt.io": "forged", "kubevirt.io/size": "large"}},
		{nil},
		{was},
	} {
		b.write(func(tx *state.Tx) {
			machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: "db", Labels: c.template})
		})
		got := labelsOf(b, "db")
		for _, label := range []string{"app", "old", "kubevirt.io/size"} {
			want := label + "=" + c.template[label] + ";"
			if has := strings.Contains(got, label+"="); has != (c.template[label] != "") || has && !strings.Contains(got, want) {
				t.Errorf("template %v: got %s", c.template, got)
			}
		}
		if !strings.Contains(got, "kubevirt.io=virt-launcher;") || !strings.Contains(got, "ns.team=blue;") {
			t.Errorf("template %v: got %s", c.template, got)
		}
	}

	// What was put on the pod by others stays, and wins over nothing that the template says.
	b.write(func(tx *state.Tx) {
		b.Pods.Put(tx, launcher("db", map[string]string{"app": "forged", "old": "changed", "mesh": "on"}))
		machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: "db", Labels: map[string]string{"app": "db"}})
	})
	if got := labelsOf(b, "db"); !strings.Contains(got, "app=db;") || !strings.Contains(got, "mesh=on;") || !strings.Contains(got, "old=changed;") {
		t.Errorf("got %s", got)
	}
}

func TestAnInstanceThatNoMachineOwnsIsWhatItsPodSays(t *testing.T) {
	b := newBed()
	b.write(func(tx *state.Tx) {
		b.shop(tx)
		b.Attachments.Put(tx, guestNIC("db"))
		b.Pods.Put(tx, launcher("db", map[string]string{"app": "db"}))
		machine.Instances.Put(tx, machine.Instance{Namespace: "shop", Name: "db", Labels: map[string]string{"app": "db"}})
		machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: "db", Labels: map[string]string{"app": "another"}})
	})
	if got := labelsOf(b, "db"); !strings.Contains(got, "app=db;") {
		t.Errorf("got %s", got)
	}
}

func TestAThousandMachinesOfOneKindAreOneIdentity(t *testing.T) {
	b := newBed()
	labels := map[string]string{"app": "desk"}
	b.write(func(tx *state.Tx) {
		b.shop(tx)
		for i := range 1000 {
			name := fmt.Sprint("desk-", i)
			p := launcher(name, labels)
			p.Labels["kubevirt.io/nodeName"] = fmt.Sprint("n", i%7)
			p.Labels["kubevirt.io/migrationJobUID"] = fmt.Sprint("job-", i)
			p.Labels["kubevirt.io/migrationTargetNodeName"] = fmt.Sprint("n", i%5)
			if i%2 == 0 {
				p.Labels["kubevirt.io/outdatedLauncherImage"] = ""
			}
			b.Pods.Put(tx, p)
			machine.Instances.Put(tx, instance(name, labels))
			machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: name, Labels: labels})
			a := guestNIC(name)
			a.Incarnation = uint32(i + 1)
			b.Attachments.Put(tx, a)
		}
	})
	b.settle()
	if r := b.db.Snapshot(); b.IdentityClaims.Len(r) != 1 || b.Workloads.Len(r) != 1000 {
		t.Errorf("%d workloads claim %d identities", b.Workloads.Len(r), b.IdentityClaims.Len(r))
	}
}

// State is a function of facts: pods, instances and machines may come, change and go in any order.
func TestTheOrderInWhichMachinesBecomeKnownDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.SampledFrom([]map[string]string{nil, {"app": "a"}, {"app": "b", "x": "1"}})
		carried, said, on := some.Draw(rt, "carried"), some.Draw(rt, "said"), some.Draw(rt, "on the pod")
		facts := []func(*bed, *state.Tx){
			func(b *bed, tx *state.Tx) { b.Attachments.Put(tx, guestNIC("db")) },
			func(b *bed, tx *state.Tx) { b.Pods.Put(tx, launcher("db", on)) },
			func(b *bed, tx *state.Tx) { machine.Instances.Put(tx, instance("db", carried)) },
			func(b *bed, tx *state.Tx) {
				machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: "db", Labels: said})
			},
		}
		key := table.ObjectKey("shop", "db")
		noise := append([]func(*bed, *state.Tx){
			func(b *bed, tx *state.Tx) { machine.Instances.Delete(tx, key) },
			func(b *bed, tx *state.Tx) { machine.Machines.Delete(tx, key) },
			func(b *bed, tx *state.Tx) { b.Pods.Delete(tx, b.Pods.Key(launcher("db", nil))) },
			func(b *bed, tx *state.Tx) { b.Attachments.Delete(tx, table.AttachmentKey("c-db", "eth0")) },
			func(b *bed, tx *state.Tx) {
				machine.Machines.Put(tx, machine.Machine{Namespace: "shop", Name: "db", Labels: some.Draw(rt, "other")})
			},
		}, facts...)
		straight, wild := newBed(), newBed()
		straight.write(straight.shop)
		straight.write(func(tx *state.Tx) {
			for _, f := range facts {
				f(straight, tx)
			}
		})
		wild.write(wild.shop)
		for range rapid.IntRange(0, 8).Draw(rt, "changes") {
			wild.write(func(tx *state.Tx) { rapid.SampledFrom(noise).Draw(rt, "change")(wild, tx) })
			wild.settle()
		}
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3}).Draw(rt, "order") {
			wild.write(func(tx *state.Tx) { facts[i](wild, tx) })
			wild.settle()
		}
		if have, want := wild.show(), straight.show(); have != want {
			rt.Fatalf("have\n%swant\n%s", have, want)
		}
	})
}
