package rtnetlink_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
)

// inNamespace moves the test to a network namespace of its own, in which there is a pair of devices.
func inNamespace(t *testing.T) *rtnetlink.Socket {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("makes network devices: run it as root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	near := netlink.LinkAttrs{Name: "near", MTU: 1400, Alias: "whose", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: near, PeerName: "far"}); err != nil {
		t.Fatal(err)
	}
	d, err := netlink.LinkByName("near")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetAlias(d, "whose"); err != nil {
		t.Fatal(err)
	}
	s, err := rtnetlink.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// mtu is a request that gives a device another MTU.
func mtu(index, bytes int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	r.AddData(head)
	r.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(bytes))))
	return r
}

func TestDevicesAreReadAsTheLibraryReadsThem(t *testing.T) {
	s := inNamespace(t)
	list, err := s.Devices()
	if err != nil {
		t.Fatal(err)
	}
	all, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var want []rtnetlink.Device
	for _, d := range all {
		a := d.Attrs()
		kind := d.Type()
		if kind == "device" {
			kind = ""
		}
		want = append(want, rtnetlink.Device{
			Index: a.Index, Peer: a.ParentIndex, Master: a.MasterIndex, Name: a.Name, Alias: a.Alias, Kind: kind, MAC: a.HardwareAddr.String(),
			MTU: a.MTU, Up: a.Flags&net.FlagUp != 0,
		})
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	at := slices.IndexFunc(list, func(d rtnetlink.Device) bool { return d.Name == "near" })
	one, err := s.Device("near")
	if same, err := s.DeviceAt(one.Index); err != nil || same != one {
		t.Errorf("by its index the device is %+v, %v", same, err)
	}
	if err != nil || one != list[at] || one.MAC != "02:00:00:00:00:01" || one.Alias != "whose" || one.Kind != "veth" {
		t.Errorf("by its name the device is %+v, %v", one, err)
	}
	if _, err := s.Device("none"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("of a device that is not there: %v", err)
	}
}

func TestSettingsOfADeviceAreThoseOfItsFiles(t *testing.T) {
	s := inNamespace(t)
	far := rtnetlink.End{Name: "more1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 3}}
	if err := s.Make(rtnetlink.Veth(rtnetlink.End{Name: "more0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, MTU: 1400}, far)); err != nil {
		t.Fatal(err)
	}
	for number, name := range map[int]string{0: "forwarding", 3: "accept_ra", 6: "dad_transmits", 22: "proxy_ndp", 26: "disable_ipv6"} {
		file := "/proc/sys/net/ipv6/conf/more0/" + name
		for _, value := range []string{"0", "1"} {
			if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
				t.Fatal(err)
			}
			d, settings, err := s.DeviceAndSettings("more0")
			if err != nil || d.Kind != "veth" || d.MAC != "02:00:00:00:00:02" || d.MTU != 1400 || len(settings) <= number || fmt.Sprint(settings[number]) != value {
				t.Errorf("%s is %s; the kernel tells of %+v, %v, %v", name, value, d, settings, err)
			}
			if same, err := s.SettingsAt(d.Index); err != nil || !slices.Equal(same, settings) {
				t.Errorf("by its index its settings are %v, %v", same, err)
			}
		}
	}
}

func TestEachRequestOfManyHasItsOwnError(t *testing.T) {
	s := inNamespace(t)
	d, err := s.Device("near")
	if err != nil {
		t.Fatal(err)
	}
	const count = 300
	var requests []*nl.NetlinkRequest
	for i := range count {
		r := mtu(d.Index, 1300+i)
		if i%3 == 1 {
			r = mtu(123456, 1300) // no such device
		}
		requests = append(requests, r)
	}
	for i, err := range s.Do(requests...) {
		if i%3 == 1 && !errors.Is(err, unix.ENODEV) || i%3 != 1 && err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if d, err = s.Device("near"); err != nil || d.MTU != 1300+count-1 {
		t.Errorf("after the last request the device is %+v, %v", d, err)
	}
	if errs := s.Do(); len(errs) != 0 {
		t.Errorf("nothing had errors: %v", errs)
	}
}

func TestAListenerHearsOfChangesUntilItIsClosed(t *testing.T) {
	s := inNamespace(t)
	l, err := rtnetlink.Listen(unix.RTNLGRP_LINK)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Device("near")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(mtu(d.Index, 1234))[0]; err != nil {
		t.Fatal(err)
	}
	heard := rtnetlink.Device{}
	for heard.MTU != 1234 {
		messages, err := l.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if heard, err = rtnetlink.ReadDevice(m.Data); err != nil || heard.Name != "near" {
				t.Errorf("heard of %+v, %v", heard, err)
			}
		}
	}
	if err := l.Drain(); err != nil {
		t.Error(err)
	}
	over := make(chan error)
	go func() {
		_, err := l.Receive()
		over <- err
	}()
	l.Close()
	if err := <-over; err == nil {
		t.Error("a closed listener went on")
	}
}

func FuzzReadDevice(f *testing.F) {
	f.Add(make([]byte, unix.SizeofIfInfomsg))
	f.Add(append(make([]byte, unix.SizeofIfInfomsg), 6, 0, unix.IFLA_IFNAME, 0, 'a', 0))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = rtnetlink.ReadDevice(data) })
}
