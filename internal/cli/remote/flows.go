package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
)

// hubbleSocket is where agents serve flows, in their pods.
const hubbleSocket = "/var/run/cilium/hubble.sock"

// service is the relay's.
const service = "hubble-relay"

// Flows connects to what serves the flows of the cluster: the relay, if there is a token that it can be shown, else all agents. own is how
// the relay is spoken with; nil: in plain text. note tells what a person should know of the choice; empty: nothing.
func (c *Cluster) Flows(ctx context.Context, own credentials.TransportCredentials) (conn *grpc.ClientConn, note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	token, err := c.Token(ctx)
	if err != nil {
		return nil, "", err
	}
	if token == "" {
		conn, err = c.merged(ctx)
		return conn, "the kubeconfig has no token that a relay could be shown: the agents are asked, by exec in their pods", err
	}
	pod, port, err := c.relay(ctx)
	if apierrors.IsNotFound(err) && c.flags.ServiceAccount == "" {
		conn, err = c.merged(ctx)
		return conn, fmt.Sprintf("there is no Service %s in namespace %s: the agents are asked, by exec in their pods", service, c.flags.Namespace), err
	}
	if apierrors.IsForbidden(err) {
		return nil, "", fmt.Errorf("%w; to find the relay needs the right to get services and list pods there, and to create pods/portforward. Where the relay is reached otherwise: --server HOST:PORT --token-file FILE", err)
	}
	if err != nil {
		return nil, "", err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(cmp.Or(own, insecure.NewCredentials())), grpc.WithPerRPCCredentials(&shown{get: c.Token}),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return c.forward(pod, port) }),
	}
	if c.flags.Node != "" {
		options = append(options, grpc.WithStreamInterceptor(ofNode(c.flags.Node)))
	}
	conn, err = grpc.NewClient("passthrough:///"+service, options...)
	return conn, "", err
}

// relay finds a pod of the relay that is ready, and the port at which it serves clients.
func (c *Cluster) relay(ctx context.Context) (pod string, port int32, err error) {
	var s corev1.Service
	if err := c.get(ctx, "services", c.flags.Namespace, service, &s); err != nil {
		return "", 0, fmt.Errorf("find the relay: %w", err)
	}
	if len(s.Spec.Ports) == 0 || len(s.Spec.Selector) == 0 {
		return "", 0, fmt.Errorf("find the relay: Service %s/%s has no port, or leads to no pods", c.flags.Namespace, service)
	}
	var pods corev1.PodList
	if err := c.list(ctx, "pods", metav1.ListOptions{LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String()}, &pods); err != nil {
		return "", 0, fmt.Errorf("find the relay: %w", err)
	}
	for _, p := range pods.Items {
		if !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue }) {
			continue
		}
		if port = portOf(s.Spec.Ports[0], p); port != 0 {
			return p.Name, port, nil
		}
	}
	return "", 0, fmt.Errorf("no pod of the relay is ready: kubectl -n %s get pods -l %s; its log says what it waits for", c.flags.Namespace, labels.SelectorFromSet(s.Spec.Selector))
}

// portOf is where a pod listens for a port of a service.
func portOf(s corev1.ServicePort, p corev1.Pod) int32 {
	if s.TargetPort.StrVal == "" {
		return cmp.Or(s.TargetPort.IntVal, s.Port)
	}
	for _, c := range p.Spec.Containers {
		for _, named := range c.Ports {
			if named.Name == s.TargetPort.StrVal {
				return named.ContainerPort
			}
		}
	}
	return 0
}

// ofNode has requests for flows ask for those of a node.
func ofNode(node string) grpc.StreamClientInterceptor {
	return func(ctx context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
		s, err := open(ctx, d, conn, method, o...)
		return narrowed{s, node}, err
	}
}

type narrowed struct {
	grpc.ClientStream
	node string
}

func (n narrowed) SendMsg(m any) error {
	if r, is := m.(*observerpb.GetFlowsRequest); is {
		if len(r.GetWhitelist()) == 0 {
			r.Whitelist = []*flowpb.FlowFilter{{}}
		}
		for _, f := range r.GetWhitelist() {
			if len(f.GetNodeName()) > 0 {
				return errors.New("--node and --node-name are both about nodes: leave one of them away")
			}
			f.NodeName = []string{"/" + n.node} // of any cluster
		}
	}
	return n.ClientStream.SendMsg(m)
}

// merged is a relay in this process, which asks the agents by exec in their pods. Who may do that sees everything there.
func (c *Cluster) merged(ctx context.Context) (*grpc.ClientConn, error) {
	agents, err := c.Agents(ctx)
	if err != nil {
		return nil, err
	}
	var all peers.Fixed
	for _, a := range agents {
		conn, err := grpc.NewClient("passthrough:///"+a.Node, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.Dial(ctx, a, hubbleSocket) }))
		if err != nil {
			return nil, err
		}
		all = append(all, peers.Peer{Name: a.Node, Conn: conn, Available: true})
	}
	s := relay.NewServer(all, relay.Options{Gate: relay.Open{}, Answer: patience})
	g := grpc.NewServer(s.Interceptors()...)
	s.Register(g)
	l := bufconn.Listen(1 << 20)
	go func() { _ = g.Serve(l) }() // as long as this process
	return grpc.NewClient("passthrough:///agents", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
}
