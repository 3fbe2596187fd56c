package kind

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scheduled matches the name of a Job that a CronJob has made, which ends with a time in minutes or seconds.
var scheduled = regexp.MustCompile(`^(.+)-\d{8,10}$`)

// madeBy is what people know a pod by: the controller that made it, or what made that as far as their names and the pod's labels tell.
// Flows name it as upstream's do. Empty: a person, or the kubelet, made the pod.
func madeBy(p *corev1.Pod) (kind, name string) {
	i := slices.IndexFunc(p.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Controller != nil && *r.Controller })
	if i < 0 || p.GenerateName == "" {
		return "", ""
	}
	kind, name = p.OwnerReferences[i].Kind, p.OwnerReferences[i].Name
	switch kind {
	case "ReplicaSet":
		if hash := p.Labels["pod-template-hash"]; hash != "" {
			if of, cut := strings.CutSuffix(name, "-"+hash); cut {
				kind, name = "Deployment", of
			}
		}
	case "ReplicationController":
		if of := p.Labels["deploymentconfig"]; of != "" {
			kind, name = "DeploymentConfig", of
		}
	case "Job":
		if of := scheduled.FindStringSubmatch(name); of != nil {
			kind, name = "CronJob", of[1]
		}
	}
	return kind, name
}
