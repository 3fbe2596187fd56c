package cli

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/source/kube"
)

// connect finds the API server: by the kubeconfig file that is named, or that KUBECONFIG names; else as a pod does, else by
// the file that kubectl takes.
func connect(env *Environment, kubeconfig string) (*rest.Config, error) {
	kubeconfig = cmp.Or(kubeconfig, env.Getenv("KUBECONFIG"))
	if kubeconfig == "" && env.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		kubeconfig = filepath.Join(env.Getenv("HOME"), ".kube/config")
		if _, err := os.Stat(kubeconfig); err != nil {
			return nil, errors.New("which cluster? there is no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
		}
	}
	return kube.Connect(kubeconfig, "weft", "")
}
