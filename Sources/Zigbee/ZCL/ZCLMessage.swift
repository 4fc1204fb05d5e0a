import Wire

/// A ZCL frame taken apart: its header, and where its payload begins in the message's frame.
public struct ZCLMessage: Sendable {
    public var message: APSMessage
    public var header: ZCLHeader
    public var payload: Int

    public init(_ message: APSMessage) throws(WireError) {
        self.message = message
        var reader = ByteReader(message.frame.span.extracting(message.payload...))
        header = try ZCLHeader(parsing: &reader)
        payload = message.payload + reader.offset
    }

    /// The bytes behind the ZCL header.
    public var body: Span<UInt8> {
        @_lifetime(borrow self)
        borrowing get { message.frame.span.extracting(payload...) }
    }

    /// Whether a default response is due where no other response is (ZCL 2.5.12.2).
    private func wantsDefaultResponse(for status: ZCLStatus) -> Bool {
        if message.isBroadcast { return false }
        if !header.isClusterSpecific, header.command == ZCLFoundation.defaultResponse {
            return false
        }
        return status != .success || !header.disableDefaultResponse
    }

    /// Whether this is an Image Notify to many at once.
    public var isBroadcastNotify: Bool {
        message.isBroadcast && message.cluster == ClusterID.otaUpgrade && header.isClusterSpecific
            && header.fromServer && header.command == OTACommandID.imageNotify
    }

    /// What a maker's own command gets from a device that knows none; nil for a standard one, and
    /// an empty frame where no answer is due.
    public var refusalOfManufacturer: FrameBuffer? {
        guard header.manufacturer != nil else { return nil }
        let status: ZCLStatus =
            header.isClusterSpecific
            ? .unsupportedManufacturerClusterCommand : .unsupportedManufacturerGeneralCommand
        return dueResponse(status) ?? FrameBuffer()
    }

    /// What a command gets that goes to the side of a cluster which is not here: an error is always
    /// told (ZCL 2.5.12.2). Nil where no answer is due. assumption: UNSUP_CLUSTER_COMMAND for the
    /// cluster's own commands and UNSUPPORTED_CLUSTER for the profile-wide ones; no setting.
    public var refusalOfDirection: FrameBuffer? {
        let status: ZCLStatus =
            header.isClusterSpecific ? .unsupportedClusterCommand : .unsupportedCluster
        return dueResponse(status)
    }

    /// The default response to this frame where no other response is due; nil where none is wanted
    /// (ZCL 2.5.12.2).
    public func dueResponse(_ status: ZCLStatus) -> FrameBuffer? {
        wantsDefaultResponse(for: status) ? defaultResponse(status) : nil
    }

    /// The default response to this frame, as a whole ZCL frame.
    public func defaultResponse(_ status: ZCLStatus) -> FrameBuffer {
        var frame = FrameBuffer()
        ZCLHeader(
            isClusterSpecific: false, fromServer: !header.fromServer,
            disableDefaultResponse: true, sequence: header.sequence,
            command: ZCLFoundation.defaultResponse, manufacturer: header.manufacturer
        ).encode(into: &frame)
        frame.append(header.command)
        frame.append(status.rawValue)
        return frame
    }
}
