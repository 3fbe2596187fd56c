// weft-kube is Kubernetes in one binary, as the lab uses it: the name it is called by, or its first argument, picks the component.
//
//	weft-kube kubelet --config=…          kubelet, kube-proxy, kubectl, kube-apiserver, kube-controller-manager, kube-scheduler
//	weft-kube control-plane CONFIG.json   etcd, API server, controller manager and scheduler in this one process
//	kubectl get pods                      through a symbolic link
package main

import (
	"os"
	"path/filepath"

	"weftnet.io/weftnet/lab/internal/kubernetes"
)

func main() {
	name := filepath.Base(os.Args[0])
	if !kubernetes.Known(name) && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	os.Exit(kubernetes.Run(name))
}
