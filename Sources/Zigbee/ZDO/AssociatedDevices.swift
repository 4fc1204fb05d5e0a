import Wire

/// What a NWK_addr or IEEE_addr request asks for beside the address: request type u8 (0 single, 1
/// extended), start index u8 (ZigBee 2.4.3.1.1, 2.4.3.1.2). An extended response lists the
/// children of a coordinator or router.
struct AssociatedDevices {
    enum Request: UInt8 {
        case single = 0
        case extended = 1
    }

    /// Nil for a type that the standard reserves.
    var request: Request?
    /// The first child that is listed.
    var start: UInt8

    init(parsing reader: inout ByteReader) throws(WireError) {
        request = Request(rawValue: try reader.u8("request type"))
        start = try reader.u8("start index")
    }

    /// That of the response, where the address is known.
    var status: ZDOStatus { request == nil ? .invalidRequestType : .success }

    /// The most that one response lists; the next begins at a later start index.
    static let limit = 24
}

extension ZigbeeStack {
    /// The number of children that follow u8, start index u8, NWK addresses u16 each; with no
    /// child at all the number alone (ZigBee 2.4.4.1.1).
    func appendAssociated(_ list: AssociatedDevices, to body: inout FrameBuffer) {
        guard list.request == .extended else { return }
        let children = neighbours.entries.filter { $0.relation == .child }
        guard configuration.role != .endDevice, !children.isEmpty else {
            body.append(0 as UInt8)
            return
        }
        let listed = children.dropFirst(Int(list.start)).prefix(AssociatedDevices.limit)
        body.append(UInt8(listed.count))
        body.append(list.start)
        for child in listed { body.append(child.address) }
    }

    /// What a descriptor of another node than this one comes to: this node keeps none for its
    /// children, and an end device should not have been asked (ZigBee 2.4.4.1.3).
    func absence(of wanted: ShortAddress) -> ZDOStatus {
        if configuration.role == .endDevice { return .invalidRequestType }
        return neighbours[wanted]?.relation == .child ? .noDescriptor : .deviceNotFound
    }
}
