package net

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/nettest"
)

// multus puts a configuration of Multus before that of a node's agent.
func multus(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(n.Conf(), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(n.Conf(), "00-multus.conf"), []byte(`{"cniVersion": "0.3.1", "name": "multus-cni-network", "type": "multus-shim"}`), 0o600)
}

// meta has a plugin that calls others call for one more NIC of a pod, and prints the answer.
func meta(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	node, _, _ := strings.Cut(l.arg(0), "/")
	n, err := l.node(node)
	if err != nil {
		return err
	}
	c, err := p.Command("", l.arg(1))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(c.Stdin)
	if err != nil {
		return err
	}
	if l.arg(1) == "STATUS" { // which there is from that version on
		text = bytes.Replace(text, []byte(`"cniVersion":"1.0.0"`), []byte(`"cniVersion":"1.1.0"`), 1)
	}
	var out, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(bytes.Replace(text, []byte(`"name":"weft"`), []byte(`"name":"`+l.arg(3)+`"`), 1)), &out, &stderr
	c.Env = append(c.Env, "CNI_IFNAME="+l.arg(2))
	if err = n.Namespace.Start(c); err == nil {
		err = c.Wait()
	}
	if err != nil {
		return fmt.Errorf("%w: %s%s", err, &out, &stderr)
	}
	return l.printf("%s\n", &out)
}

// delegates has a standard plugin make, or remove, one more NIC of a pod by a configuration in a file, as Multus does, which then says so in the
// pod's annotation. Without a file it is only said there that the NIC is gone.
func delegates(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	node, _, _ := strings.Cut(l.arg(0), "/")
	n, err := l.node(node)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(l.ts.MkAbs(l.arg(3)))
	if err != nil {
		return err
	}
	var conf struct{ Name, Type string }
	if err := json.Unmarshal(text, &conf); err != nil {
		return err
	}
	c, err := p.Command(filepath.Join(n.Plugins(), conf.Type), l.arg(1))
	if err != nil {
		return err
	}
	var out, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(text), &out, &stderr
	c.Env = append(c.Env, "CNI_IFNAME="+l.arg(2), "CNI_PATH="+n.Plugins())
	if err = n.Namespace.Start(c); err == nil {
		err = c.Wait()
	}
	if err != nil {
		return fmt.Errorf("%w: %s%s", err, &out, &stderr)
	}
	if l.arg(1) != "ADD" {
		return nil
	}
	var result types100.Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return err
	}
	return joined(p, l.arg(2), conf.Name, &result)
}

// joined adds a NIC to a pod's annotation, in the words of Multus (netutils, CreateNetworkStatus).
func joined(p *nettest.Pod, device, network string, result *types100.Result) error {
	type status struct {
		Name      string   `json:"name"`
		Interface string   `json:"interface,omitempty"`
		IPs       []string `json:"ips,omitempty"`
		MAC       string   `json:"mac,omitempty"`
		Default   bool     `json:"default,omitempty"`
		DNS       struct{} `json:"dns"`
	}
	list := []status{{Name: "weft", Interface: "eth0", Default: true}}
	if text := p.PodSpec.Annotations[cncfv1.NetworkStatusAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return err
		}
	}
	one := status{Name: p.PodSpec.Namespace + "/" + network, Interface: device}
	for _, x := range result.Interfaces {
		if x.Sandbox != "" {
			one.MAC = x.Mac
		}
	}
	for _, ip := range result.IPs {
		one.IPs = append(one.IPs, ip.Address.IP.String())
	}
	text, err := json.MarshalIndent(append(list, one), "", "    ")
	if err != nil {
		return err
	}
	p.PodSpec.Annotations[cncfv1.NetworkStatusAnnotation] = string(text)
	return p.Runs()
}

// said changes a word in what a pod's annotation says of its networks, as who may write it can.
func said(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	a := p.PodSpec.Annotations
	a[cncfv1.NetworkStatusAnnotation] = strings.ReplaceAll(a[cncfv1.NetworkStatusAnnotation], l.arg(1), l.arg(2))
	return p.Runs()
}
