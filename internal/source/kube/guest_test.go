package kube

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevirtv1 "weftnet.io/weftnet/api/kubevirt/v1"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/machine"
)

const virtual = "/apis/kubevirt.io/v1/namespaces/shop/"

func machineWith(app string) *kubevirtv1.VirtualMachine {
	t := &kubevirtv1.Template{}
	t.Labels = map[string]string{"app": app}
	return &kubevirtv1.VirtualMachine{Spec: kubevirtv1.VirtualMachineSpec{Template: t}}
}

func ownedBy(vm string) *kubevirtv1.VirtualMachineInstance {
	yes := true
	return &kubevirtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "VirtualMachine", Name: vm, Controller: &yes}}}}
}

func guestLabels(vm string) map[string]string {
	return map[string]string{"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": vm}
}

func TestMachinesAreReadOnceTheirCRDIsThereAndOnlyThoseOfThisNodesPods(t *testing.T) {
	server := apitest.New(t)
	server.Serve(ciliumResources...)
	server.Put(podsPath+"virt-launcher-db-1", podOn("n1", guestLabels("db")))
	server.Put(podsPath+"virt-launcher-far-1", podOn("n2", guestLabels("far")))
	server.Put(podsPath+"web", podOn("n1", nil))
	for _, name := range []string{"db", "far", "off", "web"} {
		server.Put(virtual+"virtualmachines/"+name, machineWith(name))
		server.Put(virtual+"virtualmachineinstances/"+name, ownedBy(name))
	}
	var mu sync.Mutex
	asked := map[string]bool{}
	server.Fail(func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Path, "/apis/kubevirt.io/v1/") {
			mu.Lock()
			defer mu.Unlock()
			asked[strings.TrimPrefix(r.URL.Path, "/apis/kubevirt.io/v1/")+" "+r.URL.Query().Get("fieldSelector")] = true
		}
		return 0
	})
	w := start(t, server, nil)
	synced(w, machine.Machines)
	synced(w, machine.Instances)
	const header, instances = "Namespace  Name  NICs  Labels\n", "Namespace  Name  Machine  NICs  Labels\n"
	await(w, machine.Machines, header)

	server.Serve("virtualmachines", "virtualmachineinstances")
	await(w, machine.Machines, header+"shop       db          app=db")
	await(w, machine.Instances, instances+"shop       db    db")
	server.Put(virtual+"virtualmachines/db", machineWith("sql"))
	await(w, machine.Machines, header+"shop       db          app=sql")

	// A machine comes, and one moves away.
	server.Put(podsPath+"virt-launcher-off-1", podOn("n1", guestLabels("off")))
	await(w, machine.Machines, header+"shop       db          app=sql\nshop       off         app=off")
	server.Delete(podsPath + "virt-launcher-db-1")
	await(w, machine.Machines, header+"shop       off         app=off")
	server.Delete(virtual + "virtualmachines/off")
	await(w, machine.Machines, header)
	mu.Lock()
	defer mu.Unlock()
	for path := range asked {
		if !strings.Contains(path, "metadata.name=db") && !strings.Contains(path, "metadata.name=off") {
			t.Errorf("asked for %s", path)
		}
	}
}

func TestMachinesAreSyncedWhenThoseOfTheFirstPodsAreRead(t *testing.T) {
	server := apitest.New(t)
	server.Serve(append(ciliumResources, "virtualmachines", "virtualmachineinstances")...)
	server.Put(podsPath+"virt-launcher-db-1", podOn("n1", guestLabels("db")))
	server.Put(podsPath+"virt-launcher-gone-1", podOn("n1", guestLabels("gone")))
	server.Put(virtual+"virtualmachines/db", machineWith("db"))
	w := start(t, server, nil)
	until(w, machine.Machines, func(s *state.Snapshot) bool { return machine.Machines.IsSynced(s) }, func() string { return "want it synced" })
	if machine.Machines.Len(w.db.Snapshot()) != 1 {
		t.Error("it is synced before it has all")
	}
	synced(w, machine.Instances)
}
