package datapath

import (
	"errors"
	"fmt"
	"os"
)

// Remove takes all programs of a pin directory off their devices and sockets and removes the directory: with the last pin go the maps,
// and every connection that they know. It tells how many programs there were on devices. No agent may use the directory.
func Remove(dir string) (programs int, err error) {
	d := &Datapath{dir: dir, hooks: hooksOf(dir)}
	list, err := List(dir)
	if err != nil {
		return 0, err
	}
	early, err := d.XDP().DetachAll()
	errs := []error{err, d.DetachSockets()}
	for _, a := range list {
		errs = append(errs, d.Detach(a.Program, a.Ifindex))
	}
	if err := errors.Join(errs...); err != nil {
		return early + len(list), err
	}
	if err := os.RemoveAll(dir); err != nil {
		return early + len(list), fmt.Errorf("remove pins: %w", err)
	}
	return early + len(list), nil
}
