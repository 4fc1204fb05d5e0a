import Wire

/// What a frame of the Tunneling cluster comes to before anybody acts on it: a command of one of
/// the two sides, with the data behind it, or no more than an answer.
public enum TunnelReading: Sendable {
    case fromServer(TunnelCommand, [UInt8])
    case fromClient(TunnelCommand, [UInt8])
    /// Nothing is left to do but this: what is answered, and why it goes no further.
    case answered(FrameBuffer?, drop: DropReason?)

    /// Reads `bytes`, a whole ZCL frame; `zcl` has it too if it came in one piece, and only then is
    /// there an answer. Who hears only one of the two sides says in `fromServer` which it is.
    public init(
        _ bytes: [UInt8], of message: APSMessage, _ zcl: ZCLMessage?, _ server: TunnelServer,
        fromServer: Bool? = nil
    ) {
        var reader = ByteReader(bytes.span)
        do {
            let header = try ZCLHeader(parsing: &reader)
            guard fromServer == nil || header.fromServer == fromServer else {
                self = .answered(zcl?.refusalOfDirection, drop: .zclWrongDirection)
                return
            }
            guard header.isClusterSpecific else {
                let answer = zcl.flatMap {
                    header.fromServer
                        ? ZCLGeneral.answerAsClient($0)
                        : ZCLGeneral.answer($0, of: .tunnelServer) { server.attribute($0) }
                }
                self = .answered(answer, drop: nil)
                return
            }
            // It is between two.
            guard !message.isBroadcast else {
                self = .answered(nil, drop: .zclUnexpected)
                return
            }
            let command = try TunnelCommand(
                header.command, fromServer: header.fromServer, parsing: &reader)
            guard let command else {
                self = .answered(zcl?.dueResponse(.unsupportedClusterCommand), drop: nil)
                return
            }
            let data = Array(bytes[reader.offset...])
            self = header.fromServer ? .fromServer(command, data) : .fromClient(command, data)
        } catch {
            self = .answered(zcl?.dueResponse(.malformedCommand), drop: .zclMalformed)
        }
    }
}
