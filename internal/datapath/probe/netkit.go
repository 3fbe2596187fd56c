package probe

import "weftnet.io/weftnet/internal/rtnetlink"

// IsNetkit tells whether a device is the host side of a netkit pair.
func IsNetkit(ifindex int) (bool, error) {
	s, err := rtnetlink.Open()
	if err != nil {
		return false, err
	}
	defer s.Close()
	device, err := s.DeviceAt(ifindex)
	return device.Kind == "netkit", err
}
