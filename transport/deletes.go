package transport

// Delete says what is deleted at the remote.
type Delete string

const (
	// DeleteMirror, as the empty word, deletes what the source does not have.
	DeleteMirror Delete = "mirror"
	// DeleteListed deletes only the items that are listed as missing.
	DeleteListed Delete = "listed"
	// DeleteOff deletes nothing.
	DeleteOff Delete = "off"
)

func (d Delete) mirrors() bool { return d == "" || d == DeleteMirror }
