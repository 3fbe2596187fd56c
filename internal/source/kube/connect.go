package kube

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Connect finds the API server: by a kubeconfig file, or, when path is empty, as a pod does (service account and
// KUBERNETES_SERVICE_HOST). agent names the program in the API server's logs.
func Connect(path, agent string) (*rest.Config, error) {
	c, err := rest.InClusterConfig()
	if path != "" {
		c, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	c.UserAgent = agent
	return c, nil
}
