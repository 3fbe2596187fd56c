package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// container is the agent's.
const container = "cilium-agent"

// upgrade tells whether a server does not speak WebSocket: the older protocol is tried.
func upgrade(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// Dial connects to a unix socket of an agent.
func (c *Cluster) Dial(_ context.Context, a Agent, socket string) (net.Conn, error) {
	url := c.client.Post().Resource("pods").Namespace(c.flags.Namespace).Name(a.Pod).SubResource("exec").VersionedParams(&corev1.PodExecOptions{
		Container: container, Command: []string{"weft", "tunnel", socket}, Stdin: true, Stdout: true, Stderr: true,
	}, c.params).URL()
	first, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, url.String())
	if err != nil {
		return nil, err
	}
	second, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, url)
	if err != nil {
		return nil, err
	}
	executor, err := remotecommand.NewFallbackExecutor(first, second, upgrade)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	near, far := net.Pipe()
	t := &tunnel{Conn: near, stop: cancel, done: make(chan struct{})}
	go func() {
		defer far.Close()
		defer close(t.done) // before: who reads the end is told why
		var said bytes.Buffer
		err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: far, Stdout: far, Stderr: &limited{Buffer: &said}})
		t.err = execError(a, err, said.String())
	}()
	return t, nil
}

// execError says why an exec ended; nil if as it should.
func execError(a Agent, err error, said string) error {
	said = strings.TrimSpace(said)
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) || strings.Contains(err.Error(), "is forbidden"): // refused as a WebSocket it has no type
		return fmt.Errorf("%w; agents are asked by exec in their pods, which takes the right to create pods/exec there. For flows a relay is enough (hubble.relay.enabled: true), with the right to get flows.weftnet.io and a token in the kubeconfig, or --service-account", err)
	case strings.Contains(said, "unknown command") || strings.Contains(said, "there is no command"):
		return fmt.Errorf("the agent of node %s is of an older version, which has no `weft tunnel`: kubectl exec in its pod", a.Node)
	case said != "":
		return fmt.Errorf("pod %s: %s", a.Pod, said)
	}
	return fmt.Errorf("exec in pod %s: %w", a.Pod, err)
}

// limited keeps what comes first.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := 4096 - l.Len(); room > 0 {
		_, _ = l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// tunnel is a connection whose far end is carried elsewhere.
type tunnel struct {
	net.Conn
	stop context.CancelFunc
	once sync.Once
	done chan struct{} // closes when it is not carried any more
	err  error         // why, once done is closed
}

// Read gives why the tunnel ended instead of an end.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if err == nil || n > 0 {
		return n, err
	}
	return 0, t.why(err)
}

// Write is as Read.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if err != nil {
		err = t.why(err)
	}
	return n, err
}

func (t *tunnel) why(err error) error {
	select {
	case <-t.done:
		if t.err != nil {
			return t.err
		}
	default:
	}
	return err
}

func (t *tunnel) Close() error {
	t.once.Do(func() { t.stop() })
	return t.Conn.Close()
}

// forward connects to a port of a pod.
func (c *Cluster) forward(pod string, port int32) (net.Conn, error) {
	url := c.client.Post().Resource("pods").Namespace(c.flags.Namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, err
	}
	first, err := portforward.NewSPDYOverWebsocketDialer(url, c.config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialer(first, spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), upgrade)
	carrier, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, fmt.Errorf("forward a port to pod %s/%s: %w", c.flags.Namespace, pod, err)
	}
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, fmt.Sprint(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	problems, err := carrier.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("forward a port to pod %s/%s: %w", c.flags.Namespace, pod, err), carrier.Close())
	}
	_ = problems.Close() // nothing is said on it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := carrier.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("forward a port to pod %s/%s: %w", c.flags.Namespace, pod, err), carrier.Close())
	}
	near, far := net.Pipe()
	t := &tunnel{Conn: near, stop: func() { _ = carrier.Close() }, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer far.Close()
		defer carrier.Close()
		var said bytes.Buffer
		errors := make(chan struct{})
		go func() { defer close(errors); _, _ = (&limited{Buffer: &said}).readFrom(problems) }()
		carry(far, data)
		<-errors
		if said.Len() > 0 {
			t.err = fmt.Errorf("port %d of pod %s/%s: %s", port, c.flags.Namespace, pod, strings.TrimSpace(said.String()))
		}
	}()
	return t, nil
}
