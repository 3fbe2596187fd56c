package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/manifest"
)

const machines = `
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: db, namespace: shop}
spec: {template: {metadata: {labels: {app: sql}}}}
---
apiVersion: kubevirt.io/v1
kind: VirtualMachineInstance
metadata: {name: db, namespace: shop, labels: {app: db, old: "1"}, ownerReferences: [{apiVersion: kubevirt.io/v1, kind: VirtualMachine, name: db, uid: u, controller: true}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: virt-launcher-db-x7k2p
  namespace: shop
  labels: {app: db, old: "1", kubevirt.io: virt-launcher}
  ownerReferences: [{apiVersion: kubevirt.io/v1, kind: VirtualMachineInstance, name: db, uid: v, controller: true}]
`

func TestAMachineIsOnceAmongTheWorkloadsWithTheLabelsOfItsTemplate(t *testing.T) {
	parts := strings.Split(machines, "---\n")
	for _, c := range []struct {
		text, want string
	}{
		{machines, "Pod virt-launcher-db-x7k2p app=sql old="},
		{parts[0], "VirtualMachine db app=sql old="},
		{parts[0] + "---\n" + parts[1], "VirtualMachine db app=sql old="},
		{parts[1], "VirtualMachineInstance db app=db old=1"},
		{parts[2], "Pod virt-launcher-db-x7k2p app=db old=1"},
		{strings.Replace(machines, "controller: true", "controller: false", 1), "Pod virt-launcher-db-x7k2p app=db old=1"}, // another machine of its name
	} {
		objects, problems := manifest.Read("f.yaml", []byte(c.text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var have []string
		for _, w := range manifest.Workloads(objects, "default", identity.Pod.Whole) {
			app, _ := w.Labels.Value("k8s:app")
			old, _ := w.Labels.Value("k8s:old")
			have = append(have, fmt.Sprintf("%s %s app=%s old=%s", w.Kind, w.Name, app, old))
		}
		if got := strings.Join(have, "; "); got != c.want {
			t.Errorf("have %s, want %s, of\n%s", got, c.want, c.text)
		}
	}
}
