// Package remote reaches the agents and the relay of a cluster from a machine that is no node of it, by a kubeconfig.
//
// # The world it models
//
//	weft status, table, service, policy   exec in each agent's pod: weft tunnel SOCKET <-> the agent's socket
//	weft observe                          port-forward to a pod of Service hubble-relay, with the token of the kubeconfig;
//	                                      without a token or a relay: exec as above, and the flows of all nodes merged here
//
// # Invariants
//
//   - All is done with the rights of who asks: the API server says whether it may exec in a pod or forward a port, and the relay which
//     flows it may see. Nothing here decides that.
//   - A token goes to the API server, and by a forwarded port to the relay; never anywhere else, unless a flag says so.
//
// # Example
//
//	cluster, err := remote.Open(remote.Flags{Context: "prod"})
//	agents, err := cluster.Agents(ctx, "", "")
//	conn, err := cluster.Dial(ctx, agents[0], "/run/weft/agent.sock")
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	authn "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Flags say which cluster, and what of it.
type Flags struct {
	Kubeconfig, Context, Namespace string
	Node, Pod                      string
	ServiceAccount                 string // whose token the relay is shown
}

// Register adds the flags, but those that a command has already.
func (f *Flags) Register(flags *pflag.FlagSet) {
	add := func(to *string, name, usual, usage string) {
		if flags.Lookup(name) == nil {
			flags.StringVar(to, name, usual, usage)
		}
	}
	add(&f.Kubeconfig, "kubeconfig", "", "ask a cluster: that of this file (where no agent runs: of KUBECONFIG, ~/.kube/config)")
	add(&f.Context, "context", "", "ask the cluster of this context")
	add(&f.Namespace, "weft-namespace", usualNamespace, "namespace of the agents and the relay")
	add(&f.Node, "node", "", "ask this node of the cluster, not all")
}

// RegisterPod adds --pod.
func (f *Flags) RegisterPod(flags *pflag.FlagSet) {
	if flags.Lookup("pod") == nil {
		flags.StringVar(&f.Pod, "pod", "", "ask the agent of the node of this pod, NAMESPACE/POD")
	}
}

const usualNamespace = "kube-system"

// Asked tells whether a flag asks for a cluster.
func (f Flags) Asked() bool {
	return f.Kubeconfig != "" || f.Context != "" || f.Node != "" || f.Pod != "" || f.ServiceAccount != "" || f.Namespace != "" && f.Namespace != usualNamespace
}

// Known tells whether there is a kubeconfig that nothing has to name.
func Known() bool {
	return slices.ContainsFunc(files(), func(file string) bool {
		_, err := os.Stat(file)
		return err == nil
	})
}

// files are the kubeconfigs that kubectl reads.
func files() []string {
	if list := os.Getenv("KUBECONFIG"); list != "" {
		return filepath.SplitList(list)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(home, ".kube", "config")}
}

// Cluster is one that is reached from afar.
type Cluster struct {
	flags  Flags
	config *rest.Config
	client *rest.RESTClient // of the core group
	params runtime.ParameterCodec
}

// patience is how long the API server may take for an answer.
const patience = 15 * time.Second

// Open reads the kubeconfig. Nothing is asked yet.
func Open(f Flags) (*Cluster, error) {
	f.Namespace = cmp.Or(f.Namespace, usualNamespace)
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: f.Kubeconfig, Precedence: files()}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("which cluster? there is no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.UserAgent = "weft"
	klog.SetLogger(logr.Discard()) // what client-go finds odd is in errors, too
	c := &Cluster{flags: f, config: config}
	if err := c.connect(); err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return c, nil
}

func (c *Cluster) connect() (err error) {
	scheme, core := runtime.NewScheme(), corev1.SchemeGroupVersion
	if err := errors.Join(corev1.AddToScheme(scheme), authn.AddToScheme(scheme)); err != nil {
		return err
	}
	metav1.AddToGroupVersion(scheme, core)
	api := rest.CopyConfig(c.config)
	api.GroupVersion, api.NegotiatedSerializer, api.APIPath = &core, serializer.NewCodecFactory(scheme).WithoutConversion(), "/api"
	c.params = runtime.NewParameterCodec(scheme)
	c.client, err = rest.RESTClientFor(api)
	return err
}

// get reads an object, and list those of a namespace.
func (c *Cluster) get(ctx context.Context, resource, namespace, name string, into runtime.Object) error {
	return c.client.Get().Resource(resource).Namespace(namespace).Name(name).Do(ctx).Into(into)
}

func (c *Cluster) list(ctx context.Context, resource string, only metav1.ListOptions, into runtime.Object) error {
	return c.client.Get().Resource(resource).Namespace(c.flags.Namespace).VersionedParams(&only, metav1.ParameterCodec).Do(ctx).Into(into)
}

// Agent is an agent's pod.
type Agent struct{ Node, Pod string }

// Agents lists those that the flags ask for, by node: that of a node, or of a pod's node, or all.
func (c *Cluster) Agents(ctx context.Context) (all []Agent, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	node := c.flags.Node
	if c.flags.Pod != "" {
		if node, err = c.nodeOf(ctx, c.flags.Pod); err != nil {
			return nil, err
		}
	}
	list := metav1.ListOptions{LabelSelector: "k8s-app=cilium"}
	if node != "" {
		list.FieldSelector = "spec.nodeName=" + node
	}
	var pods corev1.PodList
	if err := c.list(ctx, "pods", list, &pods); err != nil {
		return nil, fmt.Errorf("find the agents' pods in namespace %s: %w", c.flags.Namespace, err)
	}
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && p.Spec.NodeName != "" {
			all = append(all, Agent{Node: p.Spec.NodeName, Pod: p.Name})
		}
	}
	slices.SortFunc(all, func(a, b Agent) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Pod, b.Pod)) })
	all = slices.CompactFunc(all, func(a, b Agent) bool { return a.Node == b.Node })
	switch {
	case len(all) == 0 && node != "":
		return nil, fmt.Errorf("no agent runs on node %s: kubectl -n %s get pods -l k8s-app=cilium -o wide", node, c.flags.Namespace)
	case len(all) == 0:
		return nil, fmt.Errorf("no agent runs in namespace %s: is Weftnet in another one (--weft-namespace), or this another cluster (--context)?", c.flags.Namespace)
	}
	return all, nil
}

// nodeOf is the node of a pod.
func (c *Cluster) nodeOf(ctx context.Context, pod string) (string, error) {
	namespace, name, found := strings.Cut(pod, "/")
	if !found {
		namespace, name = metav1.NamespaceDefault, pod
	}
	var p corev1.Pod
	switch err := c.get(ctx, "pods", namespace, name, &p); {
	case err != nil:
		return "", fmt.Errorf("find the node of pod %s/%s: %w", namespace, name, err)
	case p.Spec.NodeName == "":
		return "", fmt.Errorf("pod %s/%s is on no node yet: kubectl -n %s describe pod %s says why", namespace, name, namespace, name)
	case c.flags.Node != "" && c.flags.Node != p.Spec.NodeName:
		return "", fmt.Errorf("pod %s/%s is on node %s, not on %s: leave --node or --pod away", namespace, name, p.Spec.NodeName, c.flags.Node)
	}
	return p.Spec.NodeName, nil
}
