package kube

import (
	"fmt"
	"log/slog"

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
	c, _, err := connect(path, agent, urls)
	return c, err
}

// ConnectAndKeep is Connect for who runs on a node: the servers of the list are those that were known last as well, which are in a file.
// Servers.Follow keeps that up to date; nil: there is no list, or no certificate by which a server is known to be one.
func ConnectAndKeep(path, agent, urls, file string, log *slog.Logger) (*rest.Config, *Servers, error) {
	c, s, err := connect(path, agent, urls)
	if err != nil || s == nil || !s.proves {
		return c, nil, err
	}
	s.file, s.log = file, log
	s.recall()
	return c, s, nil
}

func connect(path, agent, urls string) (*rest.Config, *Servers, error) {
	c, err := rest.InClusterConfig()
	if path != "" {
		c, err = clientcmd.BuildConfigFromFlags("", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find the API server: %w", err)
	}
	c.UserAgent = agent
	servers, err := newServers(c.Host, urls)
	if err != nil {
		return nil, nil, fmt.Errorf("find the API servers: %w", err)
	}
	if servers != nil {
		c.Dial = servers.dial
	}
	return c, servers, nil
}
