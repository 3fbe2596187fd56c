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
	"weftnet.io/weftnet/internal/table"
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
	await := func(want string) {
		t.Helper()
		var have string
		until(w, machine.Machines, func(s *state.Snapshot) bool {
			var list []string
			for m := range machine.Machines.All(s) {
				list = append(list, m.Name+"="+m.Labels["app"])
			}
			have = strings.Join(list, " ")
			return have == want
		}, func() string { return have + ", want " + want })
	}
	await("")

	server.Serve("virtualmachines", "virtualmachineinstances")
	await("db=db")
	until(w, machine.Instances, func(s *state.Snapshot) bool {
		i, _ := machine.Instances.One(s, table.ObjectKey("shop", "db"))
		return i.Machine == "db" && machine.Instances.Len(s) == 1
	}, func() string { return "want that of db alone" })
	server.Put(virtual+"virtualmachines/db", machineWith("sql"))
	await("db=sql")

	// A machine comes, and one moves away.
	server.Put(podsPath+"virt-launcher-off-1", podOn("n1", guestLabels("off")))
	await("db=sql off=off")
	server.Delete(podsPath + "virt-launcher-db-1")
	await("off=off")
	server.Delete(virtual + "virtualmachines/off")
	await("")
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
