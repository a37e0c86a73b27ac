# The descriptors of every generated header, as rows of a C array: so that a test can walk all messages there are.
/^extern const ProtobufCMessageDescriptor / { sub(";", "", $4); print "        &" $4 "," }
