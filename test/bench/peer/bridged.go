package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/test/bench/control"
	"weftnet.io/weftnet/test/bench/load"
)

// Tools are programs of others.
type Tools struct {
	Plugins   []string // folders of CNI plugins
	KubeProxy string   // kube-proxy, or weft-kube, which is that too
	Dir       string   // for files
}

const nodeAddress = "172.31.9.1/24"

// Bridged is what the bridge plugin makes, on a node whose kube-proxy serves a number of services in a mode (iptables,
// nftables). All lead to the server.
func (t Tools) Bridged(ctx context.Context, mode string, services int) (*Peer, error) {
	list, err := namespaces("bridged", "client", "server")
	if err != nil {
		return nil, err
	}
	node, dir := list[0], filepath.Join(t.Dir, fmt.Sprintf("bridged-%s-%d", mode, services))
	p := &Peer{Name: "bridge plugin, kube-proxy " + mode, between: list[:1]}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := node.Do(func() error {
		// kube-proxy looks for its node's address on a device.
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: netns.Port}}); err != nil {
			return fmt.Errorf("make device of the node: %w", err)
		}
		if err := netns.Assign(netns.Port, netip.MustParsePrefix(nodeAddress)); err != nil {
			return err
		}
		return netns.Sysctl("ipv4/ip_forward")
	}); err != nil {
		return nil, err
	}
	var stations [2]*netns.Station
	for i, end := range list[1:] {
		a, err := t.attach(node, end, dir, i)
		if err != nil {
			return nil, err
		}
		stations[i] = netns.New(end.Name, end, a)
	}
	p.Way = load.Way{Client: stations[0], Server: stations[1]}
	if err := t.proxy(ctx, p, node, dir, mode, services); err != nil {
		p.Close()
		return nil, fmt.Errorf("kube-proxy, %s: %w", mode, err)
	}
	return p, nil
}

// attach calls the bridge plugin.
func (t Tools) attach(node, end *netns.Namespace, dir string, i int) (netip.Addr, error) {
	c := exec.Command(find(t.Plugins, "bridge"))
	c.Env = append(os.Environ(), "CNI_COMMAND=ADD", fmt.Sprint("CNI_CONTAINERID=c", i), "CNI_IFNAME="+netns.Port,
		"CNI_NETNS="+end.Path(), "CNI_PATH="+strings.Join(t.Plugins, ":"))
	c.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion":"1.0.0","name":"bench","type":"bridge","bridge":"cni0","isDefaultGateway":true,
		"hairpinMode":true,"ipam":{"type":"host-local","subnet":"10.9.0.0/24","dataDir":%q}}`, filepath.Join(dir, "host-local")))
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := node.Start(c); err != nil {
		return netip.Addr{}, fmt.Errorf("bridge plugin: %w", err)
	}
	if err := c.Wait(); err != nil {
		return netip.Addr{}, fmt.Errorf("bridge plugin: %w: %s", err, out.String())
	}
	var result types100.Result
	if err := json.Unmarshal([]byte(out.String()), &result); err != nil || len(result.IPs) == 0 {
		return netip.Addr{}, fmt.Errorf("bridge plugin: %w: %s", err, out.String())
	}
	a, _ := netip.AddrFromSlice(result.IPs[0].Address.IP)
	return a.Unmap(), nil
}

// proxy runs kube-proxy in the node and returns when the first and the last service lead to the server.
func (t Tools) proxy(ctx context.Context, p *Peer, node *netns.Namespace, dir, mode string, services int) error {
	var l net.Listener
	err := node.Do(func() (err error) { l, err = net.Listen("tcp4", "127.0.0.1:0"); return err })
	if err != nil {
		return err
	}
	api := &http.Server{
		Handler:           control.New(netip.MustParsePrefix(nodeAddress).Addr(), control.Services(services, p.Server.Addresses[0], load.Port)),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() { _ = api.Serve(l) }() // it ends by Close
	p.stop = append(p.stop, func() { _ = api.Close() })
	kubeconfig, config := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "config.yaml")
	err = errors.Join(
		os.WriteFile(kubeconfig, []byte(fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: bench\ncontexts: [{name: bench, context: {cluster: bench}}]\n"+
			"clusters: [{name: bench, cluster: {server: \"http://%s\"}}]\n", l.Addr())), 0o600),
		os.WriteFile(config, []byte(fmt.Sprintf("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: %s\nhostnameOverride: %s\n"+
			"clusterCIDR: 10.9.0.0/24\nclientConnection: {kubeconfig: %s, contentType: application/json}\n"+
			"conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\n"+
			// Looking at all rules again is for what others break; it would take CPU time of whatever is measured then.
			"iptables: {syncPeriod: 1h0m0s, minSyncPeriod: 1s}\nnftables: {syncPeriod: 1h0m0s, minSyncPeriod: 1s}\n", mode, control.Node, kubeconfig)), 0o600))
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(t.KubeProxy, "--config="+config)
	if filepath.Base(t.KubeProxy) != "kube-proxy" {
		c = exec.Command(t.KubeProxy, "kube-proxy", "--config="+config)
	}
	c.Stdout, c.Stderr = log, log
	over, started := make(chan error, 1), make(chan error, 1)
	go func() { // Pdeathsig is about the thread that started it, so that one stays
		_ = node.Do(func() error {
			c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			err := c.Start()
			started <- err
			if err == nil {
				over <- c.Wait()
			}
			return err
		})
	}()
	if err := <-started; err != nil {
		return err
	}
	p.stop = append(p.stop, func() { _ = c.Process.Kill() })
	p.Service = netip.AddrPortFrom(control.Address, control.Port)
	return await(ctx, p, over, log.Name(), p.Service, netip.AddrPortFrom(control.AddressOf(services-1), control.Port))
}

// await tries services until they lead to the server.
func await(ctx context.Context, p *Peer, over <-chan error, log string, services ...netip.AddrPort) error {
	var l net.Listener
	err := p.Server.Do(func() (err error) { l, err = net.Listen("tcp4", fmt.Sprintf(":%d", load.Port)); return err })
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute) // nftables takes 10,000 services in many steps
	defer cancel()
	for {
		err := p.Client.Do(func() error {
			conn, err := (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(ctx, "tcp4", services[0].String())
			if err == nil {
				conn.Close()
			}
			return err
		})
		if err == nil {
			if services = services[1:]; len(services) == 0 {
				return nil
			}
			continue
		}
		select {
		case err := <-over:
			text, _ := os.ReadFile(log) // the error is worse
			return fmt.Errorf("it has ended: %w\n%s", err, text)
		case <-ctx.Done():
			text, _ := os.ReadFile(log)
			return fmt.Errorf("its service leads nowhere: %w\n%s", err, text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Lacking names what the bridge needs and is not there; empty: nothing.
func (t Tools) Lacking() string {
	for _, name := range []string{"bridge", "host-local"} {
		if find(t.Plugins, name) == "" {
			return "CNI plugin " + name
		}
	}
	if _, err := os.Stat(t.KubeProxy); err != nil {
		return t.KubeProxy + " (make lab builds it)"
	}
	return ""
}

// Find is the file of a CNI plugin; empty: there is none.
func (t Tools) Find(plugin string) string { return find(t.Plugins, plugin) }

func find(path []string, name string) string {
	for _, dir := range path {
		file := filepath.Join(dir, name)
		if s, err := os.Stat(file); err == nil && s.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}
