package kind

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAPodIsKnownByWhatMadeIt(t *testing.T) {
	yes := true
	of := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: "Other", Name: "other"}, {Kind: kind, Name: name, Controller: &yes}}
	}
	for _, c := range []struct {
		made, label string
		owners      []metav1.OwnerReference
		want        string
	}{
		{"web-7d9f8-", "pod-template-hash=7d9f8", of("ReplicaSet", "web-7d9f8"), "Deployment/web"},
		{"web-", "", of("ReplicaSet", "web"), "ReplicaSet/web"},
		{"web-", "pod-template-hash=7d9f8", of("ReplicaSet", "web7d9f8"), "ReplicaSet/web7d9f8"},
		{"db-", "", of("StatefulSet", "db"), "StatefulSet/db"},
		{"backup-28912345-", "", of("Job", "backup-28912345"), "CronJob/backup"},
		{"backup-7-", "", of("Job", "backup-7"), "Job/backup-7"},
		{"web-1-", "deploymentconfig=web", of("ReplicationController", "web-1"), "DeploymentConfig/web"},
		{"virt-launcher-db-", "", of("VirtualMachineInstance", "db"), "VirtualMachineInstance/db"},
		{"", "", of("Node", "n1"), "/"}, // the kubelet's
		{"web-", "", of("ReplicaSet", "web")[:1], "/"},
		{"", "", nil, "/"},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: c.made, OwnerReferences: c.owners, Labels: map[string]string{}}}
		if name, value, ok := strings.Cut(c.label, "="); ok {
			p.Labels[name] = value
		}
		if row, _ := podRow(p); row.Made.Kind+"/"+row.Made.Name != c.want {
			t.Errorf("%v with label %q: have %q, want %q", c.owners, c.label, row.Made, c.want)
		}
	}
}
