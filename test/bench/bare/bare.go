// Package bare makes the links of pods with nothing around: the netlink calls of an agent, by a process that does nothing
// else. CNI ADDs are measured beside it.
//
// # Invariants
//
//   - The calls are the agent's own code (sink/link, sink/route), so they stay the same calls.
//   - They run in a process of their own, this program once more (Main): settings are written where a thread is.
//
// # Example
//
//	func main() { bare.Main(); … }
//
//	took, err := bare.Links(dir, 100, false) // 100 at once: how long each took, in ms
package bare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/table"
)

// environment tells a process of this program that it makes links and does nothing else.
const environment = "WEFT_BENCH_LINKS"

// job is what it is told.
type job struct {
	Links  []table.Link
	Routes [][]table.Route // of each link
	InTurn bool
}

// Links makes the links of pods in a fresh namespace, by a process of its own: how long each took, in ms.
func Links(dir string, count int, inTurn bool) ([]float64, error) {
	node, err := netns.NewNamespace("alone", false)
	if err != nil {
		return nil, err
	}
	defer node.Close()
	j := job{InTurn: inTurn}
	for i := range count {
		inside, err := netns.NewNamespace(fmt.Sprint("inside", i), false)
		if err != nil {
			return nil, err
		}
		defer inside.Close()
		id := fmt.Sprint("alone-", i)
		v4, v6 := netip.AddrFrom4([4]byte{10, 7, 0, byte(i + 1)}), netip.AddrFrom16([16]byte{0xfd, 7, 15: byte(i + 1)})
		l := table.Link{
			HostName: attach.HostName(id, netns.Port, 0), HostMAC: attach.HostMAC(id, netns.Port), ContainerID: id, Interface: netns.Port,
			Netns: inside.Path(), MAC: attach.MAC(id, netns.Port), MTU: 1450, Addresses: []netip.Addr{v4, v6}, Incarnation: uint32(i + 1),
		}
		j.Links = append(j.Links, l)
		j.Routes = append(j.Routes, []table.Route{{Prefix: attach.Single(v4), Device: l.HostName}, {Prefix: attach.Single(v6), Device: l.HostName}})
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "links.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), environment+"="+file)
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	if err := node.Start(c); err != nil {
		return nil, err
	}
	if err := c.Wait(); err != nil {
		return nil, fmt.Errorf("make links: %w: %s", err, complaint.Bytes())
	}
	var took []float64
	return took, json.Unmarshal(out.Bytes(), &took)
}

// Main makes links if this process was started for that, and then never returns.
func Main() {
	file, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	if err := makeLinks(file, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func makeLinks(file string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	links, err := link.NewLinks(link.Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	one := func(i int) error {
		routes, err := route.New()
		if err != nil {
			return err
		}
		if err := links.Set(ctx, j.Links[i:i+1]); err != nil {
			return err
		}
		return routes.Set(ctx, j.Routes[i])
	}
	took, errs := make([]float64, len(j.Links)), make([]error, len(j.Links))
	began := time.Now()
	over := make(chan struct{}, len(j.Links))
	for i := range j.Links {
		if j.InTurn {
			began = time.Now()
			errs[i] = one(i)
			took[i] = float64(time.Since(began)) / float64(time.Millisecond)
			over <- struct{}{}
			continue
		}
		go func() {
			errs[i] = one(i)
			took[i] = float64(time.Since(began)) / float64(time.Millisecond)
			over <- struct{}{}
		}()
	}
	for range j.Links {
		<-over
	}
	return errors.Join(errors.Join(errs...), json.NewEncoder(out).Encode(took))
}
