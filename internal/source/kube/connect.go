package kube

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Connect finds the API server: by a kubeconfig file, or, when path is empty, as a pod does (service account and
// KUBERNETES_SERVICE_HOST). agent names the program in the API server's logs.
//
// urls are servers that are spoken with instead, separated by commas or spaces: the first that answers, and another one when it does
// not any more. They must have certificates for what the kubeconfig or the service account says, as the servers of one cluster have:
// a node on which nothing translates services yet has no other way to them.
func Connect(path, agent, urls string) (*rest.Config, error) {
	c, err := rest.InClusterConfig()
	if path != "" {
		c, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	c.UserAgent = agent
	servers, err := newServers(c.Host, urls)
	if err != nil {
		return nil, fmt.Errorf("find the API servers: %w", err)
	}
	if servers != nil {
		c.Dial = servers.dial
	}
	return c, nil
}
