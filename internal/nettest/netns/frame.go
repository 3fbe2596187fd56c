package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/packet"
)

// Port is the device of a station that leads to others.
const Port = "eth0"

// dropped is what a sender behind netkit hears of a packet that a program drops (netkit_xmit). Behind veth it hears nothing.
const dropped = unix.ENOBUFS

// Send puts a frame, as package packet writes them, on the wire of eth0. A line that does not begin with its Ethernet
// addresses goes from eth0 to the gateway.
func (p *Station) Send(line string) error { return p.Flood(line, 0, 0) }

// Flood sends a frame for every number of a range, as fast as it can: the number stands where the line says PORT.
func (p *Station) Flood(line string, from, to int) error {
	return p.Do(func() error {
		l, err := netlink.LinkByName(Port)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, "eth ") {
			gateway, err := gatewayMAC(l)
			if err != nil {
				return err
			}
			line = fmt.Sprintf("eth %s > %s %s", l.Attrs().HardwareAddr, gateway, line)
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		defer unix.Close(fd)
		for n := from; n <= to; n++ {
			frame, err := packet.Parse(strings.ReplaceAll(line, "PORT", strconv.Itoa(n)))
			if err != nil {
				return err
			}
			err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index, Halen: 6})
			if err != nil && !errors.Is(err, dropped) {
				return fmt.Errorf("send frame %d: %w", n, err)
			}
		}
		return nil
	})
}

// MAC is the Ethernet address of eth0.
func (p *Station) MAC() (string, error) {
	a, err := p.port()
	return a.HardwareAddr.String(), err
}

// MTU is that of eth0.
func (p *Station) MTU() (int, error) {
	a, err := p.port()
	return a.MTU, err
}

func (p *Station) port() (a netlink.LinkAttrs, err error) {
	err = p.Do(func() error {
		l, err := netlink.LinkByName(Port)
		if err == nil {
			a = *l.Attrs()
		}
		return err
	})
	return a, err
}

func gatewayMAC(l netlink.Link) (net.HardwareAddr, error) {
	list, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range list {
		if n.State == netlink.NUD_PERMANENT && len(n.HardwareAddr) == 6 {
			return n.HardwareAddr, nil
		}
	}
	return nil, errors.New("eth0 has no gateway")
}

// Ping sends an ICMP echo request with size bytes of data that must not be fragmented, and waits for the answer.
func (p *Station) Ping(ctx context.Context, to netip.Addr, size int) error {
	network, local, protocol, kind := "ip4:icmp", "0.0.0.0", 1, icmp.Type(ipv4.ICMPTypeEcho)
	if to.Is6() {
		network, local, protocol, kind = "ip6:ipv6-icmp", "::", 58, ipv6.ICMPTypeEchoRequest
	}
	var conn *net.IPConn
	err := p.Do(func() error {
		c, err := net.ListenPacket(network, local)
		if err != nil {
			return err
		}
		conn = c.(*net.IPConn)
		return dontFragment(conn, to.Is6())
	})
	if err != nil {
		return fmt.Errorf("open ICMP socket: %w", err)
	}
	defer conn.Close()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(time.Minute)
	}
	_ = conn.SetDeadline(end) // it is an IP socket
	id := os.Getpid() & 0xffff
	text, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: id, Seq: 1, Data: make([]byte, size)}}).Marshal(nil)
	if err != nil {
		return err
	}
	switch _, err := conn.WriteTo(text, &net.IPAddr{IP: to.AsSlice()}); {
	case errors.Is(err, dropped):
		return ErrSilence
	case err != nil:
		return err
	}
	b := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			return silence(err)
		}
		m, err := icmp.ParseMessage(protocol, b[:n])
		if err != nil {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && m.Type != kind && echo.ID == id && len(echo.Data) == size {
			return nil
		}
	}
}

func dontFragment(c *net.IPConn, v6 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if v6 {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
		} else {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		}
	})
	return errors.Join(err, set)
}
