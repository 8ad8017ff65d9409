/** Where things lie on a host, and who the agent is, unless the command line says otherwise. */
#ifndef AGENT_PATHS_H
#define AGENT_PATHS_H

#define AGENT_USER "dcvsmagent"
#define AGENT_STATE_FOLDER "/var/lib/dcv-session-manager-agent/state"
#define AGENT_SOCKET_PATH "/run/dcv-session-manager-agent/agent.sock"
#define KEEPER_LOG_DIR "/var/log/dcv-session-keeper"
#define KEEPER_XSERVER "Xvnc"

#endif
