package attachment

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoKeepsThePodsAddresses(t *testing.T) {
	yes := true
	for want, p := range map[string]metav1.ObjectMeta{
		"":                              {OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-7d", Controller: &yes}}},
		"StatefulSet shop/db, pod db-0": {OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "u", Controller: &yes}}},
		"VirtualMachine shop/press":     {OwnerReferences: []metav1.OwnerReference{{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachineInstance", Name: "press", UID: "u", Controller: &yes}}},
		"VirtualMachine shop/lathe":     {Labels: map[string]string{"kubevirt.io": "virt-launcher", "vm.kubevirt.io/name": "lathe"}},
	} {
		p.Namespace, p.Name = "shop", "db-0"
		if got := Owner(&corev1.Pod{ObjectMeta: p}).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
